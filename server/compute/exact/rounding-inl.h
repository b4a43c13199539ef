// Rounding sums of two doubles, and numbers known to a bound, once. Included
// once per instruction set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_ROUNDING_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_ROUNDING_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_ROUNDING_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_ROUNDING_INL_H_
#endif

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>

#include "hwy/highway.h"
#include "server/compute/element_type.h"
#include "server/compute/exact/bounded-inl.h"
#include "server/compute/exact/double_double-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// `value` as a number of `type`.
HWY_INLINE double RoundTo(ElementType type, double value) {
  return WithElementType(type, [&](auto zero) {
    return ToDouble(FromDouble<decltype(zero)>(value));
  });
}

// value.hi + value.lo as a number of `type`, rounded to nearest, ties to even:
// first rounded to odd in float64, whose spare bits make the second rounding
// right (Boldo, Melquiond, IEEE Trans. Comp. 57 (2008)), subnormals included.
HWY_INLINE double RoundTo(ElementType type, Pair value) {
  const Pair v = TwoSum(value.hi, value.lo);
  if (type == ElementType::kFloat64) return v.hi;
  auto bits = std::bit_cast<int64_t>(v.hi);
  if (v.lo != 0.0 && (bits & 1) == 0 && std::isfinite(v.hi)) {
    bits += (v.lo > 0.0) == (v.hi > 0.0) ? 1 : -1;
  }
  return RoundTo(type, std::bit_cast<double>(bits));
}

// `low` if `high` is the same number, the sign of a zero included.
HWY_INLINE std::optional<double> IfSame(double low, double high) {
  if (std::bit_cast<uint64_t>(low) == std::bit_cast<uint64_t>(high)) return low;
  return std::nullopt;
}

// `x` as a number of `type`, where its bound leaves no doubt which (Ziv's
// rounding test); as float64 where it leaves 1/4 ulp,
// or the smallest subnormal number.
HWY_INLINE std::optional<double> RoundIfCertain(ElementType type,
                                                ApproxPair x) {
  if (x.error == 0.0 && x.value.hi == 0.0) return 0.0;
  if (!std::isfinite(x.error)) return std::nullopt;  // says nothing
  if (type == ElementType::kFloat64) {
    if (x.error <= std::max(x.size() * 0x1p-55, 0x1p-1074)) {
      return x.value.hi + x.value.lo;
    }
    return std::nullopt;
  }
  return IfSame(RoundTo(type, x.value + Pair{-x.error, 0.0}),
                RoundTo(type, x.value + Pair{x.error, 0.0}));
}

// REQUIRES: T, or `type`, is not float64.
template <typename T>
HWY_INLINE std::optional<double> RoundIfCertain(Approx x) {
  if (x.error == 0.0 && x.value == 0.0) return 0.0;
  if (!std::isfinite(x.error)) return std::nullopt;  // says nothing
  // The ends are rounded, too.
  const double error = x.error + x.size() * 0x1p-52;
  return IfSame(ToDouble(FromDouble<T>(x.value - error)),
                ToDouble(FromDouble<T>(x.value + error)));
}
HWY_INLINE std::optional<double> RoundIfCertain(ElementType type, Approx x) {
  if (type == ElementType::kFloat32) return RoundIfCertain<float>(x);
  if (type == ElementType::kFloat16) return RoundIfCertain<Float16>(x);
  return RoundIfCertain<BFloat16>(x);
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
