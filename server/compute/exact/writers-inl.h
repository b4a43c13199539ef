// Rounding chunks of elements to the type that is written, and whether that is
// certain. Included once per instruction set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_WRITERS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_WRITERS_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_WRITERS_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_WRITERS_INL_H_
#endif

#include <type_traits>

#include "hwy/highway.h"
#include "server/compute/exact/chunks-inl.h"
#include "server/compute/exact/elements-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

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
        const auto low = ToFloats(hn::Sub(g, error));
        const auto high = ToFloats(hn::Add(g, error));
        certain &= hn::AllTrue(Floats(), hn::Eq(low, high));
        hn::StoreU(high, Floats(), to + v * kLanes);
      } else {
        // By way of float32, whose rounding is covered by a wider interval: a
        // float32 below the exact result rounds to no more than that does.
        constexpr double kSubnormal = 0x1p-148;
        const VecD error = FusedMulAdd(
            hn::Abs(g), hn::Set(d, 0x1p-23),
            elements_.Error(i + v * kLanes, hn::Set(d, kSubnormal)));
        const auto low = NarrowBits(Floats(), ToFloats(hn::Sub(g, error)), T());
        const auto high =
            NarrowBits(Floats(), ToFloats(hn::Add(g, error)), T());
        const hn::Rebind<uint16_t, Floats> d16;
        certain &= hn::AllTrue(d16, hn::Eq(low, high));
        hn::StoreU(high, d16, reinterpret_cast<uint16_t*>(to) + v * kLanes);
      }
    }
    return certain;
  }

  HWY_INLINE const Elements& elements() const { return elements_; }

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
        hn::Stream(ToFloats(g), df, to + v * kLanes);
      } else {
        hn::StoreU(ToFloats(g), df, to + v * kLanes);
      }
    }
    return certain;
  }

  HWY_INLINE const ScaledExps& elements() const { return elements_; }

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

  HWY_INLINE const ScaledExps& elements() const { return elements_; }

 private:
  using Lanes = hn::CappedTag<float, kChunk>;
  using Lanes16 = hn::Rebind<uint16_t, Lanes>;
  using Lanes32 = hn::RebindToUnsigned<Lanes>;
  using VecF = hn::Vec<Lanes>;
  using Vec16 = hn::Vec<Lanes16>;
  static constexpr int64_t kFloatLanes = hn::MaxLanes(Lanes());

  // A whole vector of elements as float32: two of float64.
  HWY_INLINE VecF FloatsOf(int64_t i) const {
    const auto low = ToFloats(elements_.Value(i));
#if HWY_TARGET == HWY_SCALAR
    return low;
#else
    static_assert(kFloatLanes == 2 * kLanes);
    const VecD high = elements_.Value(i + kLanes);
    return hn::Combine(Lanes(), ToFloats(high), low);
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

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
