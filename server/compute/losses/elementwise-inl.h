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

// A tile's elements in float64, the classes from `begin` on: as SumElements.
template <typename Formula>
HWY_NOINLINE Pair SumNarrowElements(const Formula& formula, int64_t begin,
                                    const double* z, const double* t,
                                    int64_t size, Pair factor,
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
          hn::IfThenElseZero(counts, logits), hn::LoadU(d, t + at), begin + at);
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
      const Pair g = formula.Slope(z[i + j], t[i + j], begin + i + j) * factor;
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

// Adds the terms of logits of -inf, and sets their gradients; of the classes
// from `begin` on.
template <typename Formula>
HWY_NOINLINE Pair AddInfinite(const Formula& formula, int64_t begin,
                              const double* z, const double* t, int64_t size,
                              Pair factor, Pair sum, double* gradient) {
  for (int64_t i = 0; i < size; ++i) {
    if (!std::isinf(z[i])) continue;
    const ScalarElement element = formula.AtMinusInfinity(t[i], begin + i);
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

// A row's targets.
struct RowOfTargets {
  ElementType type;
  const std::byte* values;  // [classes] of `type`
  double min;               // their range
  double max;

  // Widens `size` of them from `begin` on, and zeros after them; whether they
  // are in range.
  bool Widen(int64_t begin, int64_t size, double* to) const {
    const RowRange range =
        WidenRow(type, values + begin * ElementBytes(type), size, max, to);
    std::fill_n(to + size, kChunk, 0.0);
    return range.in_range && range.min >= min;
  }
};

// One row where no result is float64, a tile at a time: what float64 loses is
// far below their last places. False: a target is out of range.
template <typename Formula>
HWY_NOINLINE bool ComputeNarrowRow(const Formula& formula,
                                   const RowOutputs& outputs,
                                   const RowOfTargets& targets,
                                   RowScratch& scratch, RowSums& sums) {
  const Pair count = {static_cast<double>(outputs.classes()), 0.0};
  const Pair factor = outputs.factor() / count;
  double* const t = RowScratch::Room(scratch.targets, kTile + kChunk);
  bool has_targets = true;
  Pair sum;
  const RowRange range = ForEachTile(
      outputs, scratch,
      [&](int64_t begin, int64_t size, const RowRange& tile, const double* z,
          double* gradient) {
        has_targets &= targets.Widen(begin, size, t);
        if (!has_targets) return;  // formulas have a range
        Pair part =
            SumNarrowElements(formula, begin, z, t, size, factor, gradient);
        if (tile.has_infinite()) {
          part =
              AddInfinite(formula, begin, z, t, size, factor, part, gradient);
        }
        // An infinite loss stays one: what a sum lost of it would be NaN.
        const bool is_infinite = std::isinf(sum.hi) || std::isinf(part.hi);
        sum = is_infinite ? Pair{std::max(sum.hi, part.hi), 0.0} : sum + part;
      });
  if (!range.in_range) {
    // Tiles that were not computed may have bad targets.
    for (int64_t i = 0; i < outputs.classes(); i += kTile) {
      has_targets &=
          targets.Widen(i, std::min(kTile, outputs.classes() - i), t);
    }
    if (has_targets) outputs.FinishUndefined(sums);
    return has_targets;
  }
  if (has_targets) outputs.Finish(std::isinf(sum.hi) ? sum : sum / count, sums);
  return has_targets;
}

// The same for any row, in pairs.
template <typename Formula>
HWY_NOINLINE bool ComputeWideRow(const Formula& formula,
                                 const RowOutputs& outputs,
                                 const RowOfTargets& targets,
                                 RowScratch& scratch, RowSums& sums) {
  const int64_t classes = outputs.classes();
  double* const t = RowScratch::Room(scratch.targets, classes + kChunk);
  if (!targets.Widen(0, classes, t)) return false;
  WideRow row(outputs, scratch);
  if (!row.in_range()) {
    outputs.FinishUndefined(sums);
    return true;
  }
  const Pair count = {static_cast<double>(classes), 0.0};
  const Pair factor = row.factor() / count;
  Pair sum =
      SumElements(formula, row.logits(), t, classes, factor, row.gradient());
  if (row.has_infinite()) {
    sum = AddInfinite(formula, 0, row.logits(), t, classes, factor, sum,
                      row.gradient());
  }
  row.WriteGradient();
  outputs.Finish(std::isinf(sum.hi) ? sum : sum / count, sums);
  return true;
}

// Rows [first, last) by `formula`.
template <typename Loss, typename Formula>
RowSums ComputeElementwiseRows(const LossJob<Loss>& job, const Formula& formula,
                               int64_t first, int64_t last) {
  const LossRules rules = RulesOf(*job.loss);
  RowScratch& scratch = RowScratch::OfThisThread();
  const ElementType type = std::get<FloatTargets>(job.batch->labels).type;
  RowSums sums;
  for (int64_t row = first; row < last; ++row) {
    const RowOutputs outputs(job, row, scratch);
    const RowOfTargets targets = {
        type, job.targets->Row(row, scratch.gathered_targets), rules.min_target,
        rules.max_target};
    const bool has_targets =
        outputs.is_narrow()
            ? ComputeNarrowRow(formula, outputs, targets, scratch, sums)
            : ComputeWideRow(formula, outputs, targets, scratch, sums);
    if (!has_targets && sums.first_bad_target_row < 0) {
      sums.first_bad_target_row = row;
    }
  }
  return sums;
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
