// The gradient of one row from its exponentials. Included once per instruction
// set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_GRADIENT_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_GRADIENT_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_GRADIENT_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_GRADIENT_INL_H_
#endif

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "server/compute/exact/chunks-inl.h"
#include "server/compute/exact/decide-inl.h"
#include "server/compute/exact/fast_sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// Ziv's rounding test on the bits of float64 values whose float32 results are
// normal: uncertain where the 29 bits that go lie within `window` of a half,
// `window` a power of two in units of the last bit.
class NearMiddle {
 public:
  HWY_INLINE explicit NearMiddle(int64_t window)
      : shift_(hn::Set(Bits(), window - (int64_t{1} << 28))),
        mask_(hn::Set(Bits(), ((int64_t{1} << 29) - 1) & ~(2 * window - 1))) {}

  HWY_INLINE bool None(VecD g) const {
    return AllHaveOneOf(hn::Add(hn::BitCast(Bits(), g), shift_), mask_);
  }

 private:
  hn::Vec<Bits> shift_;
  hn::Vec<Bits> mask_;
};

// The same for any values, subnormal and zero results among them, by rounding
// both ends of the interval.
class EndsDiffer {
 public:
  HWY_INLINE explicit EndsDiffer(double error)
      : low_(hn::Set(Doubles(), 1.0 - error)),
        high_(hn::Set(Doubles(), 1.0 + error)) {}

  HWY_INLINE bool None(VecD g) const {
    const Floats df;
    return hn::AllFalse(df, hn::Ne(hn::DemoteTo(df, hn::Mul(g, low_)),
                                   hn::DemoteTo(df, hn::Mul(g, high_))));
  }

 private:
  VecD low_;
  VecD high_;
};

// Writes chunks of gradient[i] = exps[i] * factor, rounded once.
template <typename Uncertain>
class ScaledWriter {
 public:
  HWY_INLINE ScaledWriter(const double* exps, double factor,
                          const Uncertain& uncertain)
      : exps_(exps),
        factor_(hn::Set(Doubles(), factor)),
        uncertain_(uncertain) {}

  // Writes elements [i, i + kChunk) to `to`; returns whether all are certain.
  template <bool kStream>
  HWY_INLINE bool Write(int64_t i, float* to) const {
    const Doubles d;
    const Floats df;
    bool certain = true;
    for (int64_t v = 0; v < kVectors; ++v) {
      const VecD g = hn::Mul(hn::LoadU(d, exps_ + i + v * kLanes), factor_);
      certain &= uncertain_.None(g);
      if constexpr (kStream) {
        hn::Stream(hn::DemoteTo(df, g), df, to + v * kLanes);
      } else {
        hn::StoreU(hn::DemoteTo(df, g), df, to + v * kLanes);
      }
    }
    return certain;
  }

 private:
  const double* const exps_;
  const VecD factor_;
  const Uncertain uncertain_;
};

// Fills gradient[begin .. end) but for the label; the decider gives what is
// uncertain.
template <bool kStream, typename Uncertain>
HWY_INLINE void WriteSpan(const RowTask& task, int64_t begin, int64_t end,
                          const double* exps, double factor,
                          const Uncertain& uncertain, Decider<float>& decider) {
  float* const gradient = reinterpret_cast<float*>(task.gradient);
  const ScaledWriter<Uncertain> writer(exps, factor, uncertain);
  const auto redo = [&](int64_t i, int64_t redo_end) {
    for (; i < redo_end; ++i) {
      if (i == task.label) continue;
      const float exact = decider.GradientAt(i);
      std::memcpy(gradient + i, &exact, sizeof(float));
    }
  };
  const auto part = [&](int64_t i, int64_t part_end) HWY_ATTR {
    float copy[kChunk];
    const bool certain = writer.template Write<false>(i, copy);
    CopyPart(copy, part_end - i, gradient + i);
    if (!certain) redo(i, part_end);
  };
  int64_t i = begin;
  if constexpr (kStream) {
    constexpr uintptr_t kAlignment = kChunk * sizeof(float);
    const uintptr_t past =
        reinterpret_cast<uintptr_t>(gradient + begin) % kAlignment;
    const int64_t before = (kAlignment - past) % kAlignment / sizeof(float);
    i = std::min(end, begin + before);
    if (i > begin) part(begin, i);
  }
  for (; i + kChunk <= end; i += kChunk) {
    if (HWY_UNLIKELY(!writer.template Write<kStream>(i, gradient + i))) {
      redo(i, i + kChunk);
    }
  }
  if (i < end) part(i, end);
  if constexpr (kStream) hwy::FlushStream();
}

// WriteSpan for the whole row.
template <bool kStream, typename Uncertain>
HWY_INLINE void WriteScaled(const RowTask& task, const double* exps,
                            double factor, const Uncertain& uncertain,
                            Decider<float>& decider) {
  ForEachSpan(task, [&](int64_t begin, int64_t end) HWY_ATTR {
    WriteSpan<kStream>(task, begin, end, exps, factor, uncertain, decider);
  });
}

// The gradient of a float32 row, from exponentials and sums with these relative
// errors; three roundings come on top.
HWY_INLINE void WriteFastGradient(const RowTask& task, const FastSums& sums,
                                  double offset, double exp_error,
                                  double sum_error, const double* exps,
                                  Decider<float>& decider) {
  const double error = exp_error + sum_error + 0x1p-51;
  const double sum = sums.others + sums.label;
  const double scale = task.numerator / task.denominator;
  const double factor = scale / sum;
  // Whether the smallest result is a normal float32, with a factor 4 to spare.
  constexpr double kLog2E = 1.4426950408889634;
  const auto exponent =
      static_cast<double>(((std::bit_cast<uint64_t>(factor) >> 52) & 0x7ff)) -
      1023.0;
  if ((sums.smallest - offset) * kLog2E + exponent > -124.0) {
    const double window = std::ceil(error * 0x1p53);
    NearMiddle uncertain(
        static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(window))));
    if (task.streams_gradient) {
      WriteScaled<true>(task, exps, factor, uncertain, decider);
    } else {
      WriteScaled<false>(task, exps, factor, uncertain, decider);
    }
  } else {
    WriteScaled<false>(task, exps, factor, EndsDiffer(error), decider);
  }
  const double g = (0.0 - sums.others) / sum * scale;
  const auto rounded = RoundIfCertain(g, 2 * sum_error + 0x1p-51);
  const float at_label = rounded ? *rounded : decider.GradientAtLabel();
  std::memcpy(task.gradient + task.label * sizeof(float), &at_label,
              sizeof(float));
}

// The gradient of a float64 row: a product of pairs, rounded once, so within
// 0.51 ulp.
HWY_INLINE void WriteCarefulGradient(const RowTask& task,
                                     const CarefulSums& sums,
                                     const double* exps,
                                     const double* exps_low) {
  const Doubles d;
  double* gradient = reinterpret_cast<double*>(task.gradient);
  const Pair scale = Pair{task.numerator, 0.0} / Pair{task.denominator, 0.0};
  const Pair sum = sums.others + sums.label;
  const Pair factor = scale / sum;
  ForEachSpan(task, [&](int64_t begin, int64_t end) HWY_ATTR {
    const VecD high = hn::Set(d, factor.hi);
    const VecD low = hn::Set(d, factor.lo);
    for (int64_t i = begin; i < end; i += kChunk) {
      double last[kChunk];
      const bool whole = i + kChunk <= end;
      double* to = whole ? gradient + i : last;
      for (int64_t v = 0; v < kVectors; ++v) {
        const VecD e = hn::LoadU(d, exps + i + v * kLanes);
        const VecD e_low = hn::LoadU(d, exps_low + i + v * kLanes);
        const VecD small = FusedMulAdd(e_low, high, hn::Mul(e, low));
        hn::StoreU(FusedMulAdd(e, high, small), d, to + v * kLanes);
      }
      if (!whole) std::memcpy(gradient + i, last, (end - i) * sizeof(double));
    }
  });
  // In this order nothing is subnormal before the end.
  const Pair at_label = (scale * sums.others) / sum;
  const double g = 0.0 - (at_label.hi + at_label.lo);
  std::memcpy(gradient + task.label, &g, sizeof(double));
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
