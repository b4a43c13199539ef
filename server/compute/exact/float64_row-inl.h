// The parts of a row of float64 logits that are its own: products of pairs,
// rounded once, so within 1 ulp. Included once per instruction set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_FLOAT64_ROW_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_FLOAT64_ROW_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_FLOAT64_ROW_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_FLOAT64_ROW_INL_H_
#endif

#include <cmath>
#include <cstring>
#include <limits>

#include "hwy/highway.h"
#include "server/compute/exact/chunks-inl.h"
#include "server/compute/exact/decide-inl.h"
#include "server/compute/exact/row_scratch.h"
#include "server/compute/exact/softcap-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// Writes values[0 .. count) as elements [i, i + count) of out.
HWY_INLINE void StoreDoubles(const double (&values)[kChunk], int64_t count,
                             ElementType type, int64_t i, std::byte* out) {
  if (type == ElementType::kFloat64) {
    std::memcpy(out + i * static_cast<int64_t>(sizeof(double)), values,
                count * sizeof(double));
    return;
  }
  for (int64_t j = 0; j < count; ++j) {
    StoreElement(type, values[j], out, i + j);
  }
}

// exps_i factor of one vector; what is lost is below 2^-100 of it, unless it is
// subnormal.
HWY_INLINE VecPair ScaledExpPair(const RowScratch& scratch, int64_t i,
                                 Pair factor) {
  const Doubles d;
  const VecD e = hn::LoadU(d, scratch.exps.data() + i);
  const VecD e_low = hn::LoadU(d, scratch.exps_low.data() + i);
  const VecD high = hn::Set(d, factor.hi);
  const VecPair product = TwoProduct(e, high);
  return {product.hi,
          hn::Add(product.lo,
                  FusedMulAdd(e_low, high, hn::Mul(e, hn::Set(d, factor.lo))))};
}

// What capped elements are raised by before their slope, so that they are
// rounded once where they are subnormal: they are below 2^300.
inline constexpr double kRaise = 0x1p200;
inline constexpr double kUnraise = 0x1p-200;

// `g` of elements [i, i + kLanes), rounded once; raised, and times the cap's
// slope, where there is one.
template <bool kCapped>
HWY_INLINE VecD RoundedElements(const RowTask& task, int64_t i, VecPair g) {
  if constexpr (!kCapped) return hn::Add(g.hi, g.lo);
  const Doubles d;
  const VecPair slope = {hn::LoadU(d, task.capped->slopes + i),
                         hn::LoadU(d, task.capped->slopes_low + i)};
  const VecPair scaled = Mul(FastTwoSum(g.hi, g.lo), slope);
  return hn::Mul(hn::Add(scaled.hi, scaled.lo),
                 hn::Set(d, kUnscaleSlope * kUnraise));
}

// Fills out with exps_i factor, times the cap's slope if kCapped; but for the
// label.
template <bool kCapped>
HWY_INLINE void WriteScaledPairs(const RowTask& task, const RowScratch& scratch,
                                 Pair factor, ElementType type,
                                 std::byte* out) {
  ForEachSpan(task, [&](int64_t begin, int64_t end) HWY_ATTR {
    for (int64_t i = begin; i < end; i += kChunk) {
      double values[kChunk];
      for (int64_t v = 0; v < kVectors; ++v) {
        const int64_t at = i + v * kLanes;
        const VecPair g = ScaledExpPair(scratch, at, factor);
        hn::StoreU(RoundedElements<kCapped>(task, at, g), Doubles(),
                   values + v * kLanes);
      }
      StoreDoubles(values, std::min(end - i, kChunk), type, i, out);
    }
  });
}

// Fills the gradient with exps_i factor - targets_i scale, times the cap's
// slope if kCapped; but for the label. Where the two cancel the decider gives
// the element.
template <bool kCapped>
HWY_INLINE void WriteDifferencesOfPairs(const RowTask& task,
                                        const RowScratch& scratch, Pair factor,
                                        Pair scale, Decider& decider) {
  const Doubles d;
  const double* const targets = scratch.target_pairs.data();
  const double* const targets_low = scratch.target_pairs_low.data();
  const VecPair scales = {hn::Set(d, -scale.hi), hn::Set(d, -scale.lo)};
  ForEachSpan(task, [&](int64_t begin, int64_t end) HWY_ATTR {
    for (int64_t i = begin; i < end; i += kChunk) {
      double values[kChunk];
      bool certain = true;
      bool doubtful[kChunk];
      for (int64_t v = 0; v < kVectors; ++v) {
        const int64_t at = i + v * kLanes;
        const VecPair part = ScaledExpPair(scratch, at, factor);
        const VecD q = hn::LoadU(d, targets + at);
        const VecPair target = TwoProduct(q, scales.hi);
        const VecD target_low =
            FusedMulAdd(hn::LoadU(d, targets_low + at), scales.hi,
                        FusedMulAdd(q, scales.lo, target.lo));
        const VecPair sum = TwoSum(part.hi, target.hi);
        const VecPair parts = {sum.hi,
                               hn::Add(sum.lo, hn::Add(part.lo, target_low))};
        const VecD g = hn::Add(parts.hi, parts.lo);
        hn::StoreU(kCapped ? RoundedElements<kCapped>(task, at, parts) : g, d,
                   values + v * kLanes);
        // The first part's error is under 2^-57.4 of it: at most 0.4 ulp here.
        const auto doubt =
            hn::Lt(hn::Abs(g), hn::Mul(hn::Abs(part.hi), hn::Set(d, 0.125)));
        certain &= hn::AllFalse(d, doubt);
        HWY_ALIGN double marks[kLanes];
        hn::Store(hn::IfThenElseZero(doubt, hn::Set(d, 1.0)), d, marks);
        for (int64_t j = 0; j < kLanes; ++j) {
          doubtful[v * kLanes + j] = marks[j] != 0.0;
        }
      }
      const int64_t count = std::min(end - i, kChunk);
      for (int64_t j = 0; !certain && j < count; ++j) {
        if (doubtful[j] && i + j != task.label) {
          values[j] = decider.Gradient(i + j);
        }
      }
      StoreDoubles(values, count, task.gradient_type, i, task.gradient);
    }
  });
}

template <bool kCapped>
HWY_INLINE void WriteFloat64Elements(const RowTask& task,
                                     const RowScratch& scratch, Pair factor,
                                     Pair scale, Decider& decider) {
  if (task.targets.one_hot()) {
    WriteScaledPairs<kCapped>(task, scratch, factor, task.gradient_type,
                              task.gradient);
  } else {
    WriteDifferencesOfPairs<kCapped>(task, scratch, factor, scale, decider);
  }
}

// REQUIRES: the decider has the careful sums, whose exponentials are in the
// scratch.
HWY_INLINE void WriteFloat64Gradient(const RowTask& task,
                                     const RowScratch& scratch,
                                     Decider& decider) {
  if (!task.has_gradient()) {
    std::memset(task.gradient, 0,
                task.classes * ElementBytes(task.gradient_type));
    return;
  }
  const Pair sum =
      decider.terms().careful().others + decider.terms().careful().label;
  const ApproxPair total = decider.terms().Total();
  const Pair scale = GradientScale(task);
  const Pair factor = scale * total.value / sum;
  // A total that cancels or overflows, or is next to nothing, as it may with a
  // z-loss; factors that are huge.
  if (!(total.error <= total.size() * kTotalError) ||
      !std::isfinite(factor.hi) ||
      (std::abs(factor.hi) < 0x1p-900 && !total.is_zero()) ||
      decider.RaisesGradient()) {
    for (int64_t i = 0; i < task.classes; ++i) {
      StoreElement(task.gradient_type, decider.Gradient(i), task.gradient, i);
    }
    return;
  }
  if (!task.targets.one_hot()) decider.terms().targets();  // fills the scratch
  if (task.capped != nullptr) {
    WriteFloat64Elements<true>(task, scratch, Scaled(factor, kRaise),
                               Scaled(scale, kRaise), decider);
  } else {
    WriteFloat64Elements<false>(task, scratch, factor, scale, decider);
  }
  StoreElement(task.gradient_type, decider.Gradient(task.label), task.gradient,
               task.label);
}

HWY_INLINE void WriteFloat64Probabilities(const RowTask& task,
                                          const RowScratch& scratch,
                                          Decider& decider) {
  const Pair sum =
      decider.terms().careful().others + decider.terms().careful().label;
  WriteScaledPairs<false>(task, scratch, Pair{1.0, 0.0} / sum,
                          task.probabilities_type(), task.probabilities);
  if (task.label == kNoLabel) return;
  StoreElement(task.probabilities_type(), decider.Probability(task.label),
               task.probabilities, task.label);
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
