// The careful and the exact exponentials of a row and their sums. Included once
// per instruction set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_SLOW_SUMS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_SLOW_SUMS_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_SLOW_SUMS_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_SLOW_SUMS_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstring>

#include "hwy/highway.h"
#include "server/compute/exact/chunks-inl.h"
#include "server/compute/exact/double_double-inl.h"
#include "server/compute/exact/exp-inl.h"
#include "server/compute/exact/row_scratch.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// All kChunk lanes together, by halving.
HWY_INLINE Pair SumOfLanes(const VecPair (&sums)[kVectors]) {
  const Doubles d;
  HWY_ALIGN double his[kChunk];
  HWY_ALIGN double los[kChunk];
  for (int64_t v = 0; v < kVectors; ++v) {
    hn::Store(sums[v].hi, d, his + v * kLanes);
    hn::Store(sums[v].lo, d, los + v * kLanes);
  }
  Pair lanes[kChunk];
  for (int64_t i = 0; i < kChunk; ++i) lanes[i] = FastTwoSum(his[i], los[i]);
  for (int64_t width = kChunk / 2; width > 0; width /= 2) {
    for (int64_t i = 0; i < width; ++i) lanes[i] = lanes[i] + lanes[i + width];
  }
  return lanes[0];
}

// What the careful pass finds out, x_j = scale (z_j - max); all times
// 2^kCarefulScaleBits.
struct CarefulSums {
  Pair others;  // sum of exp(x_j) over j != label
  Pair label;   // exp(x_label); 0 without a label

  HWY_INLINE void Add(const CarefulSums& next) {
    others = others + next.others;
    label = label + next.label;
  }
};

// 2^kCarefulScaleBits exp(scale (z_j - max)) of one vector. The difference's
// rounding error, and the product's, are kept.
template <typename T>
HWY_INLINE VecPair CarefulExpOfLogits(const T* p, VecD max, VecD scale) {
  const VecPair difference = TwoSum(LoadAsDouble(p), hn::Neg(max));
  const VecPair product = TwoProduct(difference.hi, scale);
  return CarefulExp(product.hi, FusedMulAdd(difference.lo, scale, product.lo));
}

// CarefulSums of z[0 .. size), `label` counting from z; fills exps and exps_low
// if kKeep, with 0 at the label.
// Accuracy: CarefulExp's, and 2^-70 for the sum.
template <bool kKeep, typename T>
HWY_NOINLINE CarefulSums SumCarefully(const T* z, int64_t size, int64_t label,
                                      double max, double scale, double* exps,
                                      double* exps_low) {
  const Doubles d;
  const VecD maxima = hn::Set(d, max);
  const VecD scales = hn::Set(d, scale);
  VecPair sums[kVectors];
  for (auto& sum : sums) sum = {hn::Zero(d), hn::Zero(d)};
  ForEachChunk(z, 0, size, [&](int64_t i, const T* p) HWY_ATTR {
    VecPair e[kVectors];
    for (int64_t v = 0; v < kVectors; ++v) {
      e[v] = CarefulExpOfLogits(p + v * kLanes, maxima, scales);
    }
    if (HWY_UNLIKELY(Holds(i, kChunk, label))) {
      for (int64_t v = 0; v < kVectors; ++v) {
        const auto other = IsNot(label, i, v);
        e[v].hi = hn::IfThenElseZero(other, e[v].hi);
        e[v].lo = hn::IfThenElseZero(other, e[v].lo);
      }
    }
    for (int64_t v = 0; v < kVectors; ++v) {
      if constexpr (kKeep) {
        hn::StoreU(e[v].hi, d, exps + i + v * kLanes);
        hn::StoreU(e[v].lo, d, exps_low + i + v * kLanes);
      }
      const VecPair sum = TwoSum(sums[v].hi, e[v].hi);
      sums[v] = {sum.hi, hn::Add(sums[v].lo, hn::Add(sum.lo, e[v].lo))};
    }
  });
  return {SumOfLanes(sums), Pair()};
}

// The careful exponential of one logit.
HWY_INLINE Pair CarefulExpOfLogit(double logit, double max, double scale) {
  const Doubles d;
  double logits[kLanes];
  std::fill_n(logits, kLanes, logit);
  const VecPair e =
      CarefulExpOfLogits(logits, hn::Set(d, max), hn::Set(d, scale));
  return {hn::GetLane(e.hi), hn::GetLane(e.lo)};
}

// SumCarefully for the whole row; with kKeep into the scratch.
template <bool kKeep, typename T>
HWY_INLINE CarefulSums SumRowCarefully(const RowTask& task, double max,
                                       RowScratch& scratch) {
  const T* z = reinterpret_cast<const T*>(task.logits);
  double* exps = scratch.exps.data();
  double* exps_low = scratch.exps_low.data();
  CarefulSums sums = SumSpans<CarefulSums>(
      task, scratch, [&](int64_t begin, int64_t end) HWY_ATTR {
        return SumCarefully<kKeep>(
            z + begin, end - begin, task.label - begin, max, task.scale,
            kKeep ? exps + begin : nullptr, kKeep ? exps_low + begin : nullptr);
      });
  if (task.label != kNoLabel) {
    sums.label = CarefulExpOfLogit(task.Logit(task.label), max, task.scale);
  }
  return sums;
}
HWY_INLINE CarefulSums SumRowCarefully(const RowTask& task, double max,
                                       RowScratch& scratch) {
  switch (task.type) {
    case ElementType::kFloat16:
      return SumRowCarefully<false, Float16>(task, max, scratch);
    case ElementType::kBFloat16:
      return SumRowCarefully<false, BFloat16>(task, max, scratch);
    case ElementType::kFloat32:
      return SumRowCarefully<false, float>(task, max, scratch);
    case ElementType::kFloat64:
      return SumRowCarefully<false, double>(task, max, scratch);
  }
  return {};
}

// The sums that decide most of what is left: those of the logits equal to the
// maximum, whose exponentials are exactly 1, are counted apart, so that what
// the others add is known to its own last bits, however small.
struct ExactSums {
  double count = 0.0;     // of j != label with z_j = max
  Pair rest;              // sum of exp(x_j) over j != label with z_j < max
  bool has_rest = false;  // one of these is above -inf
  bool label_is_max = false;
  Pair label;  // exp(x_label); 0 without a label

  Pair others() const { return Pair{count, 0.0} + rest; }
  // The sum over all j, less 1 for one of the largest.
  Pair all_but_one() const {
    if (label_is_max) return others();
    return Pair{count - 1.0, 0.0} + (rest + label);
  }
};

// exp(x) for x <= 0, which may be subnormal.
HWY_INLINE Pair ExactExpOfAny(Pair x) {
  constexpr Pair kShift = {0x1.62e42fefa39efp+8, 0x1.abc9e3b39803fp-47};
  constexpr double kUnshift = 0x1p-512;  // exp(-kShift)
  if (x.hi > -700.0) return ExactExp(x);
  if (x.hi < -1000.0) return {0.0, 0.0};
  return Scaled(ExactExp(x + kShift), kUnshift);
}

// exp(scale (z - max)), exactly 1 where they are equal.
HWY_INLINE Pair ExactExpOfLogit(double z, double max, double scale) {
  if (z == max) return {1.0, 0.0};
  if (!std::isfinite((z - max) * scale)) return {0.0, 0.0};
  return ExactExpOfAny(TwoSum(z, -max) * Pair{scale, 0.0});
}
// The same of a task's logit.
HWY_INLINE Pair ExactExpOfLogit(const RowTask& task, int64_t i, double max) {
  const double z = task.Logit(i);
  if (task.capped == nullptr) return ExactExpOfLogit(z, max, task.scale);
  if (z == max) return {1.0, 0.0};
  if (std::isinf(z)) return {0.0, 0.0};
  return ExactExpOfAny({task.capped->below[i], task.capped->below_low[i]});
}

// Accuracy: relative error of `rest` and `label` under 2^-90, and 2^-1074.
HWY_INLINE ExactSums SumExactly(const RowTask& task, double max) {
  ExactSums result;
  for (int64_t i = 0; i < task.classes; ++i) {
    const double logit = task.Logit(i);
    const Pair e = ExactExpOfLogit(task, i, max);
    if (i == task.label) {
      result.label_is_max = logit == max;
      result.label = e;
    } else if (logit == max) {
      result.count += 1.0;
    } else if (!std::isinf(logit)) {
      result.has_rest = true;
      result.rest = result.rest + e;
    }
  }
  return result;
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
