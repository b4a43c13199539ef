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

// What the careful pass finds out; all times 2^kCarefulScaleBits.
struct CarefulSums {
  Pair others;
  Pair label;
};

// 2^kCarefulScaleBits exp(z_j - max) of one vector. The difference's rounding
// error is kept.
template <typename T>
HWY_INLINE VecPair CarefulExpOfLogits(const T* p, VecD max) {
  const VecPair x = TwoSum(LoadAsDouble(p), hn::Neg(max));
  return CarefulExp(x.hi, x.lo);
}

// Sums exp(z_j - max); fills exps and exps_low if kKeep, with 0 at the label.
// Accuracy: CarefulExp's, and 2^-70 for the sum.
template <bool kKeep, typename T>
HWY_NOINLINE CarefulSums SumCarefully(const T* z, int64_t size, int64_t label,
                                      double max, double* exps,
                                      double* exps_low) {
  const Doubles d;
  const VecD maxima = hn::Set(d, max);
  CarefulSums result;
  VecPair sums[kVectors];
  for (auto& sum : sums) sum = {hn::Zero(d), hn::Zero(d)};
  ForEachChunk(z, 0, size, [&](int64_t i, const T* p) HWY_ATTR {
    VecD e[kVectors];
    VecD low[kVectors];
    for (int64_t v = 0; v < kVectors; ++v) {
      const VecPair pair = CarefulExpOfLogits(p + v * kLanes, maxima);
      e[v] = pair.hi;
      low[v] = pair.lo;
    }
    if (HWY_UNLIKELY(Holds(i, label))) {
      result.label.hi = TakeOut(label - i, e);
      result.label.lo = TakeOut(label - i, low);
    }
    for (int64_t v = 0; v < kVectors; ++v) {
      if constexpr (kKeep) {
        hn::StoreU(e[v], d, exps + i + v * kLanes);
        hn::StoreU(low[v], d, exps_low + i + v * kLanes);
      }
      const VecPair sum = TwoSum(sums[v].hi, e[v]);
      sums[v] = {sum.hi, hn::Add(sums[v].lo, hn::Add(sum.lo, low[v]))};
    }
  });
  result.others = SumOfLanes(sums);
  return result;
}

// SumCarefully for the whole row; with kKeep into the scratch.
template <bool kKeep, typename T>
HWY_INLINE CarefulSums SumRowCarefully(const RowTask& task, double max,
                                       RowScratch& scratch) {
  const T* z = reinterpret_cast<const T*>(task.logits);
  double* exps = scratch.exps.data();
  double* exps_low = scratch.exps_low.data();
  double* partials = scratch.PartialSums(task.classes);
  ForEachSpan(task, [&](int64_t begin, int64_t end) HWY_ATTR {
    const CarefulSums sums = SumCarefully<kKeep>(
        z + begin, end - begin, task.label - begin, max,
        kKeep ? exps + begin : nullptr, kKeep ? exps_low + begin : nullptr);
    double* to = partials + begin / kSpan * kPartialSums;
    to[0] = sums.others.hi;
    to[1] = sums.others.lo;
    to[2] = sums.label.hi;
    to[3] = sums.label.lo;
  });
  CarefulSums total;
  for (int64_t begin = 0; begin < task.classes; begin += kSpan) {
    const double* from = partials + begin / kSpan * kPartialSums;
    total.others = total.others + Pair{from[0], from[1]};
    total.label = total.label + Pair{from[2], from[3]};
  }
  return total;
}

// The sums that decide what is left: those of the logits equal to the maximum,
// whose exponentials are exactly 1, are counted apart, so that what the others
// add is known to its own last bits, however small.
struct ExactSums {
  double count = 0.0;  // of j != label with z_j = max
  Pair rest;           // sum of exp(z_j - max) over j != label with z_j < max
  bool label_is_max = false;
  Pair label;  // exp(z_label - max); 0 without a label

  Pair others() const { return Pair{count, 0.0} + rest; }
  // The sum over all j, less 1 for one of the largest.
  Pair all_but_one() const {
    if (label_is_max) return others();
    return Pair{count - 1.0, 0.0} + (rest + label);
  }
};

// exp(z - max), exactly 1 where they are equal. It may be subnormal; where it
// would be 0 the least number stands for it, so that ties see that there is
// something.
HWY_INLINE Pair ExactExpOfLogit(double z, double max) {
  if (z == max) return {1.0, 0.0};
  if (std::isinf(z)) return {0.0, 0.0};
  constexpr Pair kShift = {0x1.62e42fefa39efp+8, 0x1.abc9e3b39803fp-47};
  constexpr double kUnshift = 0x1p-512;  // exp(-kShift)
  const Pair x = TwoSum(z, -max);
  if (x.hi > -700.0) return ExactExp(x);
  if (x.hi < -1000.0) return {0x1p-1074, 0.0};
  const Pair e = Scaled(ExactExp(x + kShift), kUnshift);
  return {std::max(e.hi, 0x1p-1074), 0.0};
}

// Accuracy: relative error of `rest` and `label` under 2^-95, unless subnormal.
template <typename T>
HWY_NOINLINE ExactSums SumExactly(const T* z, int64_t size, int64_t label,
                                  double max) {
  ExactSums result;
  for (int64_t i = 0; i < size; ++i) {
    T logit;
    std::memcpy(&logit, z + i, sizeof(T));
    const Pair e = ExactExpOfLogit(logit, max);
    if (i == label) {
      result.label_is_max = logit == max;
      result.label = e;
    } else if (logit == max) {
      result.count += 1.0;
    } else {
      result.rest = result.rest + e;
    }
  }
  return result;
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
