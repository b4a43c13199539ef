// Rounding a sum of two doubles once. Included once per instruction set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_ROUNDING_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_ROUNDING_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_ROUNDING_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_ROUNDING_INL_H_
#endif

#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>

#include "hwy/highway.h"
#include "server/compute/exact/double_double-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// The float nearest to value.hi + value.lo, ties to even: first rounded to odd
// in float64, whose 29 spare bits make the second rounding right (Boldo,
// Melquiond, IEEE Trans. Comp. 57 (2008)), subnormal floats included.
HWY_INLINE float RoundToFloat(Pair value) {
  const Pair v = TwoSum(value.hi, value.lo);
  auto bits = std::bit_cast<int64_t>(v.hi);
  if (v.lo != 0.0 && (bits & 1) == 0 && std::isfinite(v.hi)) {
    bits += (v.lo > 0.0) == (v.hi > 0.0) ? 1 : -1;
  }
  return static_cast<float>(std::bit_cast<double>(bits));
}

// The float nearest to a number within `error` of `value`, where that is
// certain (Ziv's rounding test).
HWY_INLINE std::optional<float> RoundIfCertain(Pair value, double error) {
  const float low = RoundToFloat(value + Pair{-error, 0.0});
  const float high = RoundToFloat(value + Pair{error, 0.0});
  // Not by ==, which takes -0 for 0; both ends of a true zero are 0 here.
  if (std::bit_cast<uint32_t>(low) != std::bit_cast<uint32_t>(high) &&
      !(low == 0.0f && high == 0.0f && error == 0.0)) {
    return std::nullopt;
  }
  return high;
}

// The same for one float64 and a relative error of at least 2^-51, which covers
// the roundings of the interval's ends.
HWY_INLINE std::optional<float> RoundIfCertain(double value,
                                               double relative_error) {
  const auto low = static_cast<float>(value * (1.0 - relative_error));
  const auto high = static_cast<float>(value * (1.0 + relative_error));
  if (low != high) return std::nullopt;
  return high;
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
