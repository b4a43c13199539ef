// Losses whose row is the mean over its classes of a term of one logit and one
// target. Included once per instruction set.
//
// A formula gives, for a vector of logits z and targets t, the terms and their
// derivatives in pairs (`At`) and, for types narrower than float64, in float64
// (`NarrowAt`), and says where a derivative cancelled; such
// elements it gives again one by one (`Slope`). Everything is IEEE operations
// in a fixed order, so all targets give the same bits.
#if defined(LOSSD_SERVER_COMPUTE_LOSSES_ELEMENTWISE_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_LOSSES_ELEMENTWISE_INL_H_
#undef LOSSD_SERVER_COMPUTE_LOSSES_ELEMENTWISE_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_LOSSES_ELEMENTWISE_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "hwy/highway.h"
#include "server/compute/exact/chunks-inl.h"
#include "server/compute/exact/double_double-inl.h"
#include "server/compute/exact/rounding-inl.h"
#include "server/compute/exact/row_scratch.h"
#include "server/compute/exact/search-inl.h"
#include "server/compute/exact/slow_sums-inl.h"
#include "server/compute/exact/vector_pair-inl.h"
#include "server/compute/losses/wide_row-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// Terms and slopes of one vector; slopes times 2^kSlopeScaleBits of the
// formula.
struct Element {
  VecPair term;
  VecPair slope;
  hn::Mask<Doubles> doubt;  // where the slope cancelled
};

// The same in float64, unscaled: enough for narrower types.
struct NarrowElement {
  VecD term;
  VecD slope;
  hn::Mask<Doubles> doubt;
};

// Term and slope of one logit.
struct ScalarElement {
  double term;
  Pair slope;
};

// A row's elements in float64: as SumElements.
template <typename Formula>
HWY_NOINLINE Pair SumNarrowElements(const Formula& formula, const double* z,
                                    const double* t, int64_t size, Pair factor,
                                    double* gradient) {
  const Doubles d;
  const VecD factors = hn::Set(d, factor.hi);
  VecPair sums[kVectors];
  for (auto& sum : sums) sum = PairOf(0.0);
  for (int64_t i = 0; i < size; i += kChunk) {
    bool certain = true;
    HWY_ALIGN double doubts[kChunk];
    for (int64_t v = 0; v < kVectors; ++v) {
      const int64_t at = i + v * kLanes;
      const VecD logits = hn::LoadU(d, z + at);
      auto counts = hn::Gt(logits, hn::Neg(hn::Inf(d)));
      if (HWY_UNLIKELY(size - i < kChunk)) {
        counts = hn::And(counts, IsBelow(size - i, v));
      }
      const NarrowElement element = formula.NarrowAt(
          hn::IfThenElseZero(counts, logits), hn::LoadU(d, t + at), at);
      const VecPair high =
          TwoSum(sums[v].hi, hn::IfThenElseZero(counts, element.term));
      sums[v] = {high.hi, hn::Add(sums[v].lo, high.lo)};
      if (gradient == nullptr) continue;
      hn::StoreU(hn::Mul(element.slope, factors), d, gradient + at);
      const auto doubt = hn::And(counts, element.doubt);
      certain &= hn::AllFalse(d, doubt);
      hn::Store(hn::IfThenElseZero(doubt, hn::Set(d, 1.0)), d,
                doubts + v * kLanes);
    }
    if (HWY_LIKELY(certain) || gradient == nullptr) continue;
    for (int64_t j = 0; j < std::min(size - i, kChunk); ++j) {
      if (doubts[j] == 0.0) continue;
      const Pair g = formula.Slope(z[i + j], t[i + j], i + j) * factor;
      gradient[i + j] = g.hi + g.lo;
    }
  }
  return SumOfLanes(sums);
}

// A row's sum of terms, and its elements' slopes times `factor` in gradient[0
// .. size), which may be null. z and t have room for whole chunks.
// Infinite logits count nothing here: AddInfinite has them.
template <typename Formula>
HWY_NOINLINE Pair SumElements(const Formula& formula, const double* z,
                              const double* t, int64_t size, Pair factor,
                              double* gradient) {
  const Doubles d;
  // The slopes' scale goes last, so that only the result is subnormal; a large
  // factor takes it first, so that none is infinite on the way.
  const bool is_large = std::abs(factor.hi) > 0x1p200;
  const double unscale = std::ldexp(1.0, -Formula::kSlopeScaleBits);
  const VecPair factors =
      Broadcast(is_large ? Scaled(factor, unscale) : factor);
  const VecD last_scale = hn::Set(d, is_large ? 1.0 : unscale);
  VecPair sums[kVectors];
  for (auto& sum : sums) sum = PairOf(0.0);
  for (int64_t i = 0; i < size; i += kChunk) {
    bool certain = true;
    HWY_ALIGN double doubts[kChunk];
    for (int64_t v = 0; v < kVectors; ++v) {
      const int64_t at = i + v * kLanes;
      const VecD logits = hn::LoadU(d, z + at);
      const auto counts =
          hn::And(IsBelow(size - i, v), hn::Gt(logits, hn::Neg(hn::Inf(d))));
      const Element element = formula.At(hn::IfThenElseZero(counts, logits),
                                         hn::LoadU(d, t + at), at);
      const VecPair term = ZeroUnless(counts, element.term);
      const VecPair high = TwoSum(sums[v].hi, term.hi);
      sums[v] =
          FastTwoSum(high.hi, hn::Add(high.lo, hn::Add(sums[v].lo, term.lo)));
      if (gradient == nullptr) continue;
      hn::StoreU(hn::Mul(Rounded(Mul(element.slope, factors)), last_scale), d,
                 gradient + at);
      const auto doubt = hn::And(counts, element.doubt);
      certain &= hn::AllFalse(d, doubt);
      hn::Store(hn::IfThenElseZero(doubt, hn::Set(d, 1.0)), d,
                doubts + v * kLanes);
    }
    if (certain || gradient == nullptr) continue;
    for (int64_t j = 0; j < std::min(size - i, kChunk); ++j) {
      if (doubts[j] == 0.0) continue;
      const Pair g = formula.Slope(z[i + j], t[i + j], i + j) * factor;
      gradient[i + j] = g.hi + g.lo;
    }
  }
  return SumOfLanes(sums);
}

// Adds the terms of logits of -inf, and sets their gradients.
template <typename Formula>
HWY_NOINLINE Pair AddInfinite(const Formula& formula, const double* z,
                              const double* t, int64_t size, Pair factor,
                              Pair sum, double* gradient) {
  for (int64_t i = 0; i < size; ++i) {
    if (!std::isinf(z[i])) continue;
    const ScalarElement element = formula.AtMinusInfinity(t[i], i);
    if (element.term != 0.0) sum = {element.term, 0.0};
    if (gradient == nullptr) continue;
    // An infinite slope's product has no lower part.
    const Pair g = std::isinf(element.slope.hi)
                       ? Pair{element.slope.hi * factor.hi, 0.0}
                       : element.slope * factor;
    gradient[i] = g.hi + g.lo;
  }
  return sum;
}

// One row: its outputs, and what it adds to `sums`.
template <typename Loss, typename Formula>
HWY_NOINLINE void ComputeElementwiseRow(const LossJob<Loss>& job,
                                        const LossRules& rules,
                                        const Formula& formula, int64_t row,
                                        RowScratch& scratch, RowSums& sums) {
  const auto& targets = std::get<FloatTargets>(job.batch->labels);
  const int64_t classes = job.batch->classes;
  double* const t = RowScratch::Room(scratch.targets, classes + kChunk);
  const RowRange range =
      WidenRow(targets.type, job.targets->Row(row, scratch.gathered_targets),
               classes, rules.max_target, t);
  if (!range.in_range || range.min < rules.min_target) {
    if (sums.first_bad_target_row < 0) sums.first_bad_target_row = row;
    return;
  }
  std::fill_n(t + classes, kChunk, 0.0);
  WideRow wide(job, row, scratch);
  if (!wide.in_range()) return wide.FinishUndefined(sums);
  const Pair count = {static_cast<double>(classes), 0.0};
  const Pair factor = wide.factor() / count;
  // What float64 loses is far below a narrower type's last place.
  const bool is_narrow = job.batch->logits_type != ElementType::kFloat64 &&
                         job.outputs->gradient_type.value_or(
                             job.batch->logits_type) != ElementType::kFloat64;
  Pair sum = is_narrow ? SumNarrowElements(formula, wide.logits(), t, classes,
                                           factor, wide.gradient())
                       : SumElements(formula, wide.logits(), t, classes, factor,
                                     wide.gradient());
  if (wide.has_infinite()) {
    sum = AddInfinite(formula, wide.logits(), t, classes, factor, sum,
                      wide.gradient());
  }
  wide.Finish(std::isinf(sum.hi) ? sum : sum / count, sums);
}

// Rows [first, last) by `formula`.
template <typename Loss, typename Formula>
RowSums ComputeElementwiseRows(const LossJob<Loss>& job, const Formula& formula,
                               int64_t first, int64_t last) {
  const LossRules rules = RulesOf(*job.loss);
  RowScratch& scratch = RowScratch::OfThisThread();
  RowSums sums;
  for (int64_t row = first; row < last; ++row) {
    ComputeElementwiseRow(job, rules, formula, row, scratch, sums);
  }
  return sums;
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
