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
  HWY_INLINE ScaledExps(const double* exps, double factor,
                        double relative_error)
      : exps_(exps),
        factor_(factor),
        error_factor_(std::abs(factor) * relative_error) {}

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

// The same where all targets are `target`.
class ScaledMinusConstant {
 public:
  HWY_INLINE ScaledMinusConstant(const double* exps, Approx factor,
                                 double exp_error, double target, double scale,
                                 double target_error)
      : exps_(exps),
        factor_(factor.value),
        minus_target_(-scale * target),
        error_factor_(factor.size() * (exp_error + 0x1p-51) + factor.error),
        error_(std::abs(scale) * target * (target_error + 0x1p-51)) {}

  HWY_INLINE VecD Value(int64_t i) const {
    const Doubles d;
    return FusedMulAdd(hn::LoadU(d, exps_ + i), hn::Set(d, factor_),
                       hn::Set(d, minus_target_));
  }
  HWY_INLINE VecD Error(int64_t i, VecD least) const {
    const Doubles d;
    return FusedMulAdd(hn::LoadU(d, exps_ + i), hn::Set(d, error_factor_),
                       hn::Add(hn::Set(d, error_), least));
  }
  HWY_INLINE Approx At(int64_t i) const {
    return {std::fma(exps_[i], factor_, minus_target_),
            exps_[i] * error_factor_ + error_ + kUnderflow};
  }

 private:
  const double* exps_;
  double factor_;
  double minus_target_;
  double error_factor_;
  double error_;
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
        // Far below a float32, but normal: others are slow.
        const VecD error =
            elements_.Error(i + v * kLanes, hn::Set(d, 0x1p-1000));
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
        shift_(window - (int64_t{1} << 28)),
        mask_(((int64_t{1} << 29) - 1) & ~(2 * window - 1)) {}

  template <bool kStream>
  HWY_INLINE bool Write(int64_t i, float* to) const {
    const Floats df;
    bool certain = true;
    for (int64_t v = 0; v < kVectors; ++v) {
      const VecD g = elements_.Value(i + v * kLanes);
      const auto shifted =
          hn::Add(hn::BitCast(Bits(), g), hn::Set(Bits(), shift_));
      certain &= AllHaveOneOf(shifted, hn::Set(Bits(), mask_));
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
  const int64_t shift_;
  const int64_t mask_;
};

// The same for float16 and bfloat16, by way of float32. With a relative error
// under 2^-30 the exact result is less than 0.51 ulp from the float32, so that
// this rounds like it, unless it lies on a middle between two T.
template <typename T>
class NarrowWriter {
 public:
  HWY_INLINE explicit NarrowWriter(const ScaledExps& elements)
      : elements_(elements) {}

  template <bool kStream>
  HWY_INLINE bool Write(int64_t i, T* to) const {
    bool certain = true;
    for (int64_t j = 0; j < kChunk; j += kFloatLanes) {
      const VecF g = FloatsOf(i + j);
      const Vec16 bits = Rounded(g);
      certain &= NoMiddle(g, bits);
      auto* const out = reinterpret_cast<uint16_t*>(to) + j;
      if constexpr (kStream) {
        hn::Stream(bits, Lanes16(), out);
      } else {
        hn::StoreU(bits, Lanes16(), out);
      }
    }
    return certain;
  }

 private:
  using Lanes = hn::CappedTag<float, kChunk>;
  using Lanes16 = hn::Rebind<uint16_t, Lanes>;
  using Lanes32 = hn::RebindToUnsigned<Lanes>;
  using VecF = hn::Vec<Lanes>;
  using Vec16 = hn::Vec<Lanes16>;
  static constexpr int64_t kFloatLanes = hn::MaxLanes(Lanes());

  // A whole vector of elements as float32: two of float64.
  HWY_INLINE VecF FloatsOf(int64_t i) const {
    const auto low = hn::DemoteTo(Floats(), elements_.Value(i));
#if HWY_TARGET == HWY_SCALAR
    return low;
#else
    static_assert(kFloatLanes == 2 * kLanes);
    const VecD high = elements_.Value(i + kLanes);
    return hn::Combine(Lanes(), hn::DemoteTo(Floats(), high), low);
#endif
  }

  HWY_INLINE static Vec16 Rounded(VecF g) {
    if constexpr (std::is_same_v<T, BFloat16>) {
      // Half away from zero: middles are decided elsewhere.
      const auto bits = hn::Add(hn::BitCast(Lanes32(), g),
                                hn::Set(Lanes32(), uint32_t{0x8000}));
      return hn::DemoteTo(Lanes16(), hn::BitCast(hn::RebindToSigned<Lanes>(),
                                                 hn::ShiftRight<16>(bits)));
    } else {
      return NarrowBits(Lanes(), g, T());
    }
  }

  HWY_INLINE static bool NoMiddle(VecF g, Vec16 bits) {
    if constexpr (std::is_same_v<T, BFloat16>) {
      // Of subnormal numbers, too, the same bits go.
      const auto rest = hn::And(hn::BitCast(Lanes32(), g),
                                hn::Set(Lanes32(), uint32_t{0xffff}));
      return hn::AllFalse(Lanes32(),
                          hn::Eq(rest, hn::Set(Lanes32(), uint32_t{0x8000})));
    } else {
      const VecF more = hn::Mul(g, hn::Set(Lanes(), 1.0f + 0x1p-23f));
      const VecF less = hn::Mul(g, hn::Set(Lanes(), 1.0f - 0x1p-23f));
      return hn::AllTrue(Lanes16(), hn::And(hn::Eq(Rounded(more), bits),
                                            hn::Eq(Rounded(less), bits)));
    }
  }

  const ScaledExps elements_;
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

// WriteRow, past the caches if the task says so.
template <typename T, typename Writer>
HWY_INLINE void WriteWith(const RowTask& task, const ScaledExps& elements,
                          const Writer& writer, DecideElement decide,
                          std::byte* out) {
  if (task.streams_gradient && out == task.gradient) {
    WriteRow<true, T>(task, elements, writer, decide, out);
  } else {
    WriteRow<false, T>(task, elements, writer, decide, out);
  }
}

// The same for elements of one factor, known to a relative error; `normal`:
// those of float32 are normal numbers.
HWY_INLINE void WriteScaledExps(const RowTask& task, ElementType type,
                                const ScaledExps& elements,
                                double relative_error, bool normal,
                                DecideElement decide, std::byte* out) {
  if (relative_error < 0x1p-30) {
    if (type == ElementType::kFloat32 && normal) {
      const NearMiddleWriter writer(
          elements, static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(
                        std::ceil(relative_error * 0x1p53)))));
      return WriteWith<float>(task, elements, writer, decide, out);
    }
    if (type == ElementType::kFloat16) {
      return WriteWith<Float16>(task, elements, NarrowWriter<Float16>(elements),
                                decide, out);
    }
    if (type == ElementType::kBFloat16) {
      return WriteWith<BFloat16>(task, elements,
                                 NarrowWriter<BFloat16>(elements), decide, out);
    }
  }
  WriteIntervals(task, type, elements, decide, out);
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
