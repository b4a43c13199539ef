// Losses whose row is the mean over its classes of a term of one logit and one
// target. Included once per instruction set.
//
// A formula gives, for a vector of logits z and targets t, the terms and their
// derivatives in pairs (`Element`), and says where a derivative cancelled; such
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
#include "server/compute/losses/loss_job.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// Terms and slopes of one vector; slopes times 2^kSlopeScaleBits of the
// formula.
struct Element {
  VecPair term;
  VecPair slope;
  hn::Mask<Doubles> doubt;  // where the slope cancelled
};

// Term and slope of one logit.
struct ScalarElement {
  double term;
  double slope;
};

// Fills to[0 .. size) with the elements of `from`, exactly.
inline HWY_NOINLINE void WidenRow(ElementType type, const std::byte* from,
                                  int64_t size, double* to) {
  WithElementType(type, [&](auto zero) HWY_ATTR {
    using T = decltype(zero);
    const T* const p = reinterpret_cast<const T*>(from);
    int64_t i = 0;
    for (; i + kLanes <= size; i += kLanes) {
      hn::StoreU(LoadAsDouble(p + i), Doubles(), to + i);
    }
    for (; i < size; ++i) to[i] = ToDouble(LoadElement<T>(from, i));
  });
}

// Fills `to` with from[0 .. size), rounded.
inline HWY_NOINLINE void NarrowRow(ElementType type, const double* from,
                                   int64_t size, std::byte* to) {
  if (type == ElementType::kFloat64) {
    std::memcpy(to, from, size * sizeof(double));
    return;
  }
  int64_t i = 0;
  if (type == ElementType::kFloat32) {
    for (; i + kLanes <= size; i += kLanes) {
      hn::StoreU(ToFloats(hn::LoadU(Doubles(), from + i)), Floats(),
                 reinterpret_cast<float*>(to) + i);
    }
  }
  for (; i < size; ++i) StoreElement(type, from[i], to, i);
}

// A row's sum of terms, and its elements' slopes times `factor` in gradient[0
// .. size), which may be null. z and t have room for whole chunks.
// Infinite logits count nothing here: AddInfinite has them.
template <typename Formula>
HWY_NOINLINE Pair SumElements(const Formula& formula, const double* z,
                              const double* t, int64_t size, Pair factor,
                              double* gradient) {
  const Doubles d;
  // The factor takes the slopes' scale in two steps, so that neither is
  // subnormal.
  const bool is_small = std::abs(factor.hi) < 0x1p-400;
  const double unscale = std::ldexp(1.0, -Formula::kSlopeScaleBits);
  const VecPair factors =
      Broadcast(is_small ? factor : Scaled(factor, unscale));
  const double first_scale = is_small ? unscale : 1.0;
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
      hn::StoreU(Rounded(Mul(Scaled(element.slope, first_scale), factors)), d,
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
    if (gradient != nullptr) gradient[i] = element.slope * factor.hi;
  }
  return sum;
}

inline double RoundedPair(Pair value) {
  return std::isinf(value.hi) ? value.hi : value.hi + value.lo;
}

// One row: its outputs, and what it adds to `sums`.
template <typename Loss, typename Formula>
HWY_NOINLINE void ComputeElementwiseRow(const LossJob<Loss>& job,
                                        const LossRules& rules,
                                        const Formula& formula, int64_t row,
                                        RowScratch& scratch, RowSums& sums) {
  const Batch& batch = *job.batch;
  const LossOutputs& out = *job.outputs;
  const auto& targets = std::get<FloatTargets>(batch.labels);
  const ElementType type = batch.logits_type;
  const int64_t classes = batch.classes;
  double* const z = RowScratch::Room(scratch.exps, classes + kChunk);
  double* const t = RowScratch::Room(scratch.targets, classes + kChunk);
  double* const g = RowScratch::Room(scratch.exps_low, classes + kChunk);
  WidenRow(targets.type, job.targets->Row(row, scratch.gathered_targets),
           classes, t);
  const auto* const bytes_t = reinterpret_cast<const std::byte*>(t);
  if (!MaximumInRange<double>(bytes_t, classes, rules.min_target,
                              rules.max_target)
           .in_range) {
    if (sums.first_bad_target_row < 0) sums.first_bad_target_row = row;
    return;
  }
  WidenRow(type, job.logits->Row(row, scratch.gathered), classes, z);
  const auto* const bytes_z = reinterpret_cast<const std::byte*>(z);
  const Maximum max = MaximumInRange<double>(
      bytes_z, classes, -std::numeric_limits<double>::infinity(),
      std::numeric_limits<double>::max());
  const bool has_infinite =
      !MaximumInRange<double>(bytes_z, classes,
                              -std::numeric_limits<double>::max(),
                              std::numeric_limits<double>::max())
           .in_range;
  const double weight = RowWeight(batch, row);
  const double upstream = Upstream(batch, row);
  const ElementType gradient_type = out.gradient_type.value_or(type);
  std::byte* const gradient =
      RowOf(out.gradient, row, classes * ElementBytes(gradient_type));
  double loss = std::numeric_limits<double>::quiet_NaN();
  double rounded = loss;
  if (!max.in_range) {
    if (sums.first_bad_row < 0) sums.first_bad_row = row;
    if (gradient != nullptr) FillWithNan(gradient_type, classes, gradient);
  } else {
    std::fill_n(z + classes, kChunk, 0.0);
    std::fill_n(t + classes, kChunk, 0.0);
    const bool has_gradient =
        weight != 0.0 && upstream != 0.0 && job.divisor != 0.0;
    const Pair mean =
        Pair{weight, 0.0} / Pair{static_cast<double>(classes), 0.0};
    const Pair factor =
        has_gradient ? mean * Pair{upstream, 0.0} / Pair{job.divisor, 0.0}
                     : Pair();
    double* const wanted = gradient != nullptr && has_gradient ? g : nullptr;
    Pair sum = SumElements(formula, z, t, classes, factor, wanted);
    if (has_infinite) {
      sum = AddInfinite(formula, z, t, classes, factor, sum, wanted);
    }
    if (gradient != nullptr) {
      if (!has_gradient) std::fill_n(g, classes, 0.0);
      NarrowRow(gradient_type, g, classes, gradient);
    }
    // 0 times an infinite term is 0.
    const Pair row_loss = weight == 0.0 ? Pair() : sum * mean;
    loss = std::isinf(sum.hi) && weight != 0.0 ? sum.hi : RoundedPair(row_loss);
    rounded = std::isinf(loss) ? loss : RoundTo(type, row_loss);
  }
  sums.loss.Add(loss);
  if (!out.row_losses.empty()) {
    StoreElement(type, rounded, out.row_losses.data(), row);
  }
  if (!out.predictions.empty()) {
    RowTask task;
    task.type = ElementType::kFloat64;
    task.logits = bytes_z;
    task.classes = classes;
    StoreElement(max.in_range
                     ? FirstIndexOf<double>(max.value, bytes_z, classes)
                     : PredictionOfNonFiniteRow(task),
                 out.predictions.data(), row);
  }
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
