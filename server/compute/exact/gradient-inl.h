// A row's gradient and probabilities from its exponentials. Included once per
// instruction set.
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
#include <type_traits>

#include "absl/functional/function_ref.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "server/compute/exact/bounded-inl.h"
#include "server/compute/exact/chunks-inl.h"
#include "server/compute/exact/rounding-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// Elements exps_i factor, to a relative error.
class ScaledExps {
 public:
  HWY_INLINE ScaledExps(const double* exps, Approx factor, double exp_error)
      : exps_(exps),
        factor_(factor.value),
        error_factor_(factor.size() * (exp_error + 0x1p-52) + factor.error) {}

  HWY_INLINE VecD Value(int64_t i) const {
    return hn::Mul(hn::LoadU(Doubles(), exps_ + i),
                   hn::Set(Doubles(), factor_));
  }
  HWY_INLINE VecD Error(int64_t i, VecD least) const {
    return FusedMulAdd(hn::LoadU(Doubles(), exps_ + i),
                       hn::Set(Doubles(), error_factor_), least);
  }
  HWY_INLINE Approx At(int64_t i) const {
    return {exps_[i] * factor_, exps_[i] * error_factor_ + kUnderflow};
  }

 private:
  const double* exps_;
  double factor_;
  double error_factor_;
};

// Elements exps_i factor - targets_i scale.
class ScaledDifferences {
 public:
  HWY_INLINE ScaledDifferences(const double* exps, Approx factor,
                               double exp_error, const double* targets,
                               double scale, double target_error)
      : exps_(exps),
        targets_(targets),
        factor_(factor.value),
        minus_scale_(-scale),
        error_factor_(factor.size() * (exp_error + 0x1p-51) + factor.error),
        error_scale_(std::abs(scale) * (target_error + 0x1p-51)) {}

  HWY_INLINE VecD Value(int64_t i) const {
    const Doubles d;
    const VecD target =
        hn::Mul(hn::LoadU(d, targets_ + i), hn::Set(d, minus_scale_));
    return FusedMulAdd(hn::LoadU(d, exps_ + i), hn::Set(d, factor_), target);
  }
  HWY_INLINE VecD Error(int64_t i, VecD least) const {
    const Doubles d;
    return FusedMulAdd(hn::LoadU(d, exps_ + i), hn::Set(d, error_factor_),
                       FusedMulAdd(hn::LoadU(d, targets_ + i),
                                   hn::Set(d, error_scale_), least));
  }
  HWY_INLINE Approx At(int64_t i) const {
    return {std::fma(exps_[i], factor_, targets_[i] * minus_scale_),
            exps_[i] * error_factor_ + targets_[i] * error_scale_ + kUnderflow};
  }

 private:
  const double* exps_;
  const double* targets_;
  double factor_;
  double minus_scale_;
  double error_factor_;
  double error_scale_;
};

// Writes chunks of elements, rounded to T, where both ends of an element's
// interval round to the same: Ziv's rounding test, for values of any size.
template <typename T, typename Elements>
class IntervalWriter {
 public:
  HWY_INLINE explicit IntervalWriter(const Elements& elements)
      : elements_(elements) {}

  // Writes elements [i, i + kChunk) to `to`; returns whether all are certain.
  template <bool kStream>
  HWY_INLINE bool Write(int64_t i, T* to) const {
    const Doubles d;
    bool certain = true;
    for (int64_t v = 0; v < kVectors; ++v) {
      const VecD g = elements_.Value(i + v * kLanes);
      if constexpr (std::is_same_v<T, float>) {
        const VecD error =
            elements_.Error(i + v * kLanes, hn::Set(d, kUnderflow));
        const auto low = hn::DemoteTo(Floats(), hn::Sub(g, error));
        const auto high = hn::DemoteTo(Floats(), hn::Add(g, error));
        certain &= hn::AllTrue(Floats(), hn::Eq(low, high));
        hn::StoreU(high, Floats(), to + v * kLanes);
      } else {
        // By way of float32, whose rounding is covered by a wider interval: a
        // float32 below the exact result rounds to no more than that does.
        constexpr double kSubnormal = 0x1p-148;
        const VecD error = FusedMulAdd(
            hn::Abs(g), hn::Set(d, 0x1p-23),
            elements_.Error(i + v * kLanes, hn::Set(d, kSubnormal)));
        const auto low = NarrowBits(
            Floats(), hn::DemoteTo(Floats(), hn::Sub(g, error)), T());
        const auto high = NarrowBits(
            Floats(), hn::DemoteTo(Floats(), hn::Add(g, error)), T());
        const hn::Rebind<uint16_t, Floats> d16;
        certain &= hn::AllTrue(d16, hn::Eq(low, high));
        hn::StoreU(high, d16, reinterpret_cast<uint16_t*>(to) + v * kLanes);
      }
    }
    return certain;
  }

 private:
  const Elements elements_;
};

// The same for float32 where all results are normal, on the bits of float64:
// uncertain where the 29 bits that go lie within `window` of a half, `window` a
// power of two in units of the last bit.
class NearMiddleWriter {
 public:
  HWY_INLINE NearMiddleWriter(const ScaledExps& elements, int64_t window)
      : elements_(elements),
        shift_(hn::Set(Bits(), window - (int64_t{1} << 28))),
        mask_(hn::Set(Bits(), ((int64_t{1} << 29) - 1) & ~(2 * window - 1))) {}

  template <bool kStream>
  HWY_INLINE bool Write(int64_t i, float* to) const {
    const Floats df;
    bool certain = true;
    for (int64_t v = 0; v < kVectors; ++v) {
      const VecD g = elements_.Value(i + v * kLanes);
      certain &= AllHaveOneOf(hn::Add(hn::BitCast(Bits(), g), shift_), mask_);
      if constexpr (kStream) {
        hn::Stream(hn::DemoteTo(df, g), df, to + v * kLanes);
      } else {
        hn::StoreU(hn::DemoteTo(df, g), df, to + v * kLanes);
      }
    }
    return certain;
  }

 private:
  const ScaledExps elements_;
  const hn::Vec<Bits> shift_;
  const hn::Vec<Bits> mask_;
};

// What decides an element that is in doubt.
using DecideElement = absl::FunctionRef<double(int64_t)>;

// Fills out[begin .. end) but for the label.
template <bool kStream, typename T, typename Elements, typename Writer>
HWY_INLINE void WriteSpan(const RowTask& task, int64_t begin, int64_t end,
                          const Elements& elements, const Writer& writer,
                          DecideElement decide, T* out) {
  constexpr ElementType kType = ElementTypeOf<T>();
  const auto redo = [&](int64_t i, int64_t redo_end) {
    for (; i < redo_end; ++i) {
      if (i == task.label) continue;
      const auto certain = RoundIfCertain(kType, elements.At(i));
      const T exact = FromDouble<T>(certain ? *certain : decide(i));
      std::memcpy(out + i, &exact, sizeof(T));
    }
  };
  const auto part = [&](int64_t i, int64_t part_end) HWY_ATTR {
    T copy[kChunk];
    const bool certain = writer.template Write<false>(i, copy);
    CopyPart(copy, part_end - i, out + i);
    if (!certain) redo(i, part_end);
  };
  int64_t i = begin;
  if constexpr (kStream) {
    constexpr uintptr_t kAlignment = kChunk * sizeof(T);
    const uintptr_t past =
        reinterpret_cast<uintptr_t>(out + begin) % kAlignment;
    const int64_t before = (kAlignment - past) % kAlignment / sizeof(T);
    i = std::min(end, begin + before);
    if (i > begin) part(begin, i);
  }
  // A copy that nothing points to stays in registers, whatever is stored.
  const Writer whole = writer;
  for (; i + kChunk <= end; i += kChunk) {
    if (HWY_UNLIKELY(!whole.template Write<kStream>(i, out + i))) {
      redo(i, i + kChunk);
    }
  }
  if (i < end) part(i, end);
  if constexpr (kStream) hwy::FlushStream();
}

// WriteSpan for the whole row.
template <bool kStream, typename T, typename Elements, typename Writer>
HWY_INLINE void WriteRow(const RowTask& task, const Elements& elements,
                         const Writer& writer, DecideElement decide,
                         std::byte* out) {
  ForEachSpan(task, [&](int64_t begin, int64_t end) HWY_ATTR {
    WriteSpan<kStream>(task, begin, end, elements, writer, decide,
                       reinterpret_cast<T*>(out));
  });
}

// Fills out[classes] of `type`, not float64, but for the label, whatever the
// elements' size.
template <typename Elements>
HWY_INLINE void WriteIntervals(const RowTask& task, ElementType type,
                               const Elements& elements, DecideElement decide,
                               std::byte* out) {
  switch (type) {
    case ElementType::kFloat16:
      return WriteRow<false, Float16>(
          task, elements, IntervalWriter<Float16, Elements>(elements), decide,
          out);
    case ElementType::kBFloat16:
      return WriteRow<false, BFloat16>(
          task, elements, IntervalWriter<BFloat16, Elements>(elements), decide,
          out);
    case ElementType::kFloat32:
      return WriteRow<false, float>(task, elements,
                                    IntervalWriter<float, Elements>(elements),
                                    decide, out);
    case ElementType::kFloat64:
      break;
  }
}

// The same as float32, where all elements are normal numbers of that type.
HWY_INLINE void WriteNormalFloats(const RowTask& task,
                                  const ScaledExps& elements,
                                  double relative_error, DecideElement decide,
                                  std::byte* out) {
  if (!(relative_error < 0x1p-30)) {
    return WriteIntervals(task, ElementType::kFloat32, elements, decide, out);
  }
  const NearMiddleWriter writer(
      elements, static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(
                    std::ceil(relative_error * 0x1p53)))));
  return task.streams_gradient && out == task.gradient
             ? WriteRow<true, float>(task, elements, writer, decide, out)
             : WriteRow<false, float>(task, elements, writer, decide, out);
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
