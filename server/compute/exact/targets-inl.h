// The weights q that a row's logits are compared with (row_task.h). Included
// once per instruction set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_TARGETS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_TARGETS_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_TARGETS_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_TARGETS_INL_H_
#endif

#include <cmath>

#include "hwy/highway.h"
#include "server/compute/exact/chunks-inl.h"
#include "server/compute/exact/double_double-inl.h"
#include "server/compute/exact/fast_sums-inl.h"
#include "server/compute/exact/slow_sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// q_i to a relative error under 2^-99, unless it underflows.
HWY_INLINE Pair TargetWeight(const RowTask& task, int64_t i) {
  const RowTargets& targets = task.targets;
  Pair q = TwoSum(1.0, -targets.smoothing) * Pair{task.Target(i), 0.0};
  if (targets.smoothing != 0.0) {
    q = q + Pair{targets.smoothing, 0.0} /
                Pair{static_cast<double>(task.classes), 0.0};
  }
  return q * Pair{targets.class_weight(i), 0.0};
}

// Whether a class has a target that float64 may take for 0, or has to few bits.
inline HWY_NOINLINE bool HasTinyTarget(const RowTask& task) {
  if (!task.targets.may_underflow()) return false;
  for (int64_t i = 0; i < task.classes; ++i) {
    if (TargetWeight(task, i).hi < 0x1p-900 && task.HasTarget(i)) return true;
  }
  return false;
}

// Whether a class has a target and a logit of -inf: the sums below may miss it
// where the target underflows.
inline HWY_NOINLINE bool HasImpossibleTinyTarget(const RowTask& task) {
  if (!task.targets.may_underflow()) return false;
  for (int64_t i = 0; i < task.classes; ++i) {
    if (std::isinf(task.Logit(i)) && task.HasTarget(i)) return true;
  }
  return false;
}

// a * b + c to about 2^-103 of the larger term; REQUIRES: no term is negative.
HWY_INLINE VecPair MulAdd(VecPair a, VecD b, VecPair c) {
  const VecPair product = TwoProduct(a.hi, b);
  const VecPair sum = TwoSum(product.hi, c.hi);
  const VecD low =
      hn::Add(hn::Add(FusedMulAdd(a.lo, b, product.lo), c.lo), sum.lo);
  return FastTwoSum(sum.hi, low);
}

// Fills to[0 .. classes) and its padding with q, 0 at the label and in the
// padding; to_low with the low halves, unless that is null.
// Accuracy: a relative error under 2^-51, of the pairs under 2^-99.
template <typename T>
HWY_INLINE void FillTargets(const RowTask& task, double* to, double* to_low) {
  const Doubles d;
  const RowTargets& targets = task.targets;
  const T* const t = reinterpret_cast<const T*>(targets.probabilities);
  const Pair kept = TwoSum(1.0, -targets.smoothing);
  const Pair base = Pair{targets.smoothing, 0.0} /
                    Pair{static_cast<double>(task.classes), 0.0};
  const VecPair keeps = {hn::Set(d, kept.hi), hn::Set(d, kept.lo)};
  const VecPair bases = {hn::Set(d, base.hi), hn::Set(d, base.lo)};
  const auto chunk = [&](int64_t i, int64_t count) HWY_ATTR {
    T padded_t[kChunk];
    double padded_w[kChunk];
    const T* p = t == nullptr ? nullptr : t + i;
    const double* w =
        targets.class_weights == nullptr ? nullptr : targets.class_weights + i;
    if (count < kChunk) {
      if (p != nullptr) PadChunk(p, count, T(), padded_t), p = padded_t;
      if (w != nullptr) PadChunk(w, count, 0.0, padded_w), w = padded_w;
    }
    const bool special = count < kChunk || Holds(i, kChunk, task.label);
    for (int64_t v = 0; v < kVectors; ++v) {
      VecPair q = bases;
      if (p != nullptr) q = MulAdd(keeps, LoadAsDouble(p + v * kLanes), bases);
      if (w != nullptr) {
        const VecD weights = hn::LoadU(d, w + v * kLanes);
        q = MulAdd(q, weights, {hn::Zero(d), hn::Zero(d)});
      }
      if (special) {
        const auto real = hn::And(IsBelow(count, v), IsNot(task.label, i, v));
        q = {hn::IfThenElseZero(real, q.hi), hn::IfThenElseZero(real, q.lo)};
      }
      hn::StoreU(q.hi, d, to + i + v * kLanes);
      if (to_low != nullptr) hn::StoreU(q.lo, d, to_low + i + v * kLanes);
    }
  };
  ForEachSpan(task, [&](int64_t begin, int64_t end) HWY_ATTR {
    for (int64_t i = begin; i < end; i += kChunk) {
      chunk(i, std::min(end - i, kChunk));
    }
  });
}
inline HWY_NOINLINE void FillTargets(const RowTask& task, double* to,
                                     double* to_low) {
  WithElementType(task.targets.type, [&](auto zero) HWY_ATTR {
    FillTargets<decltype(zero)>(task, to, to_low);
  });
}

// What a row's targets add up to, the label left out, x_j = scale z_j - offset.
struct TargetSums {
  double weights = 0.0;    // sum of q_j
  double distances = 0.0;  // sum of q_j x_j
  double sizes = 0.0;      // sum of q_j |x_j|
  double infinite = 0.0;   // not 0: there are q_j > 0 with x_j = -inf, left out
  double weights_low = 0.0;  // what sums of spans lost
  double distances_low = 0.0;

  HWY_INLINE void Add(const TargetSums& next) {
    const Pair weight = TwoSum(weights, next.weights);
    const Pair distance = TwoSum(distances, next.distances);
    weights = weight.hi;
    weights_low += weight.lo + next.weights_low;
    distances = distance.hi;
    distances_low += distance.lo + next.distances_low;
    sizes += next.sizes;
    infinite += next.infinite;
  }
};

// The relative error of `weights` and that of `distances`, in units of `sizes`:
// q's own, 2^-51, that of x and of their product, 2^-52, and 38 additions.
inline constexpr double kTargetSumsError = 0x1p-47;

// q but at the label, where that is the same; to a relative error of 2^-53.
HWY_INLINE double ConstantTarget(const RowTask& task) {
  return task.targets.smoothing / static_cast<double>(task.classes);
}

// TargetSums from q as FillTargets leaves it, or from a constant q where
// `targets` is null.
template <typename T>
HWY_INLINE TargetSums SumTargets(const RowTask& task, const double* targets,
                                 double offset, RowScratch& scratch) {
  const Doubles d;
  const T* const z = reinterpret_cast<const T*>(task.logits);
  const VecD scale = hn::Set(d, task.scale);
  const VecD minus_offset = hn::Set(d, 0.0 - offset);
  const VecD minus_infinity = hn::Neg(hn::Inf(d));
  const VecD constant = hn::Set(d, ConstantTarget(task));
  TargetSums sums = SumSpans<TargetSums>(
      task, scratch, [&](int64_t begin, int64_t end) HWY_ATTR {
        LaneSum weights, distances, sizes;
        VecD infinite = hn::Zero(d);
        int64_t chunks = 0;
        ForEachChunk(z, begin, end, [&](int64_t i, const T* p) HWY_ATTR {
          const bool special = end - i < kChunk || Holds(i, kChunk, task.label);
          for (int64_t v = 0; v < kVectors; ++v) {
            VecD q = constant;
            if (targets != nullptr) {
              q = hn::LoadU(d, targets + i + v * kLanes);
            } else if (special) {
              q = hn::IfThenElseZero(
                  hn::And(IsBelow(end - i, v), IsNot(task.label, i, v)), q);
            }
            const VecD x =
                FusedMulAdd(LoadAsDouble(p + v * kLanes), scale, minus_offset);
            const auto finite = hn::Gt(x, minus_infinity);
            const VecD qx = hn::IfThenElseZero(finite, hn::Mul(q, x));
            infinite = hn::Max(infinite, hn::IfThenZeroElse(finite, q));
            weights.Add(v, q);
            distances.Add(v, qx);
            sizes.Add(v, hn::Abs(qx));
          }
          if (++chunks % 32 == 0) {
            weights.EndSlice();
            distances.EndSlice();
            sizes.EndSlice();
          }
        });
        weights.EndSlice();
        distances.EndSlice();
        sizes.EndSlice();
        return TargetSums{weights.Total(), distances.Total(), sizes.Total(),
                          hn::GetLane(hn::MaxOfLanes(d, infinite))};
      });
  sums.weights += sums.weights_low;
  sums.distances += sums.distances_low;
  return sums;
}

// The same in pairs, from the row's maximum: of j != label, the sum of q_j and
// that of q_j scale (max - z_j), whose terms are never negative.
struct TargetPairs {
  Pair weights;
  Pair distances;
  double infinite = 0.0;  // as in TargetSums

  HWY_INLINE void Add(const TargetPairs& next) {
    infinite += next.infinite;
    weights = weights + next.weights;
    distances = distances + next.distances;
  }
};

// Accuracy: relative errors under 2^-85.
template <typename T>
HWY_NOINLINE TargetPairs SumTargetPairs(const RowTask& task, double max,
                                        const double* targets,
                                        const double* targets_low,
                                        RowScratch& scratch) {
  const Doubles d;
  const T* const z = reinterpret_cast<const T*>(task.logits);
  const VecPair zero = {hn::Zero(d), hn::Zero(d)};
  const VecD maxima = hn::Set(d, max);
  return SumSpans<TargetPairs>(
      task, scratch, [&](int64_t begin, int64_t end) HWY_ATTR {
        VecPair weights[kVectors], distances[kVectors];
        for (auto& sum : weights) sum = zero;
        for (auto& sum : distances) sum = zero;
        VecD infinite = hn::Zero(d);
        const auto add = [](VecPair term, VecPair& sum) HWY_ATTR {
          const VecPair high = TwoSum(sum.hi, term.hi);
          sum = FastTwoSum(high.hi, hn::Add(high.lo, hn::Add(sum.lo, term.lo)));
        };
        ForEachChunk(z, begin, end, [&](int64_t i, const T* p) HWY_ATTR {
          for (int64_t v = 0; v < kVectors; ++v) {
            const VecPair q = {hn::LoadU(d, targets + i + v * kLanes),
                               hn::LoadU(d, targets_low + i + v * kLanes)};
            add(q, weights[v]);
            const VecD logit = LoadAsDouble(p + v * kLanes);
            const auto finite = hn::Gt(logit, hn::Neg(hn::Inf(d)));
            infinite = hn::Max(infinite, hn::IfThenZeroElse(finite, q.hi));
            const VecPair below =
                TwoSum(maxima, hn::Neg(hn::IfThenElse(finite, logit, maxima)));
            VecPair qx = MulAdd(q, below.hi, zero);
            qx.lo = FusedMulAdd(q.hi, below.lo, qx.lo);
            add(MulAdd(qx, hn::Set(d, task.scale), zero), distances[v]);
          }
        });
        return TargetPairs{SumOfLanes(weights), SumOfLanes(distances),
                           hn::GetLane(hn::MaxOfLanes(d, infinite))};
      });
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
