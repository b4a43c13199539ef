// Numbers that carry a bound on their error: running error analysis. Included
// once per instruction set.
// Source: N. J. Higham, Accuracy and Stability of Numerical Algorithms, 3.3.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_BOUNDED_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_BOUNDED_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_BOUNDED_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_BOUNDED_INL_H_
#endif

#include <cmath>

#include "hwy/highway.h"
#include "server/compute/exact/double_double-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

HWY_INLINE double HighPart(double value) { return value; }
HWY_INLINE double HighPart(Pair value) { return value.hi; }

// What one operation adds to the relative error: twice its bound, so that the
// roundings of the bounds themselves are covered.
template <typename Number>
inline constexpr double kRounding = 0x1p-52;
template <>
inline constexpr double kRounding<Pair> = 0x1p-99;

// What it adds where a result, or the low half of one, is subnormal.
inline constexpr double kUnderflow = 0x1p-1070;

// A real number within `error` of `value`, which is a double or a Pair.
template <typename Number>
struct Bounded {
  Number value = {};
  double error = 0.0;

  HWY_INLINE double size() const { return std::abs(HighPart(value)); }

  HWY_INLINE bool is_zero() const { return size() == 0.0 && error == 0.0; }

  HWY_INLINE friend Bounded operator+(Bounded a, Bounded b) {
    return Rounded(a.value + b.value, a.error + b.error);
  }
  HWY_INLINE friend Bounded operator-(Bounded a, Bounded b) {
    return Rounded(a.value - b.value, a.error + b.error);
  }
  HWY_INLINE friend Bounded operator*(Bounded a, Bounded b) {
    if (a.is_zero() || b.is_zero()) return {};
    return Rounded(
        a.value * b.value,
        a.size() * b.error + a.error * (b.size() + b.error) + kUnderflow);
  }
  // REQUIRES: b is known to a relative error under 2^-10.
  HWY_INLINE friend Bounded operator/(Bounded a, Bounded b) {
    if (a.is_zero()) return {};
    const Number quotient = a.value / b.value;
    const double size = std::abs(HighPart(quotient));
    return Rounded(
        quotient,
        (a.error + size * b.error) / b.size() * (1.0 + 0x1p-9) + kUnderflow);
  }

 private:
  HWY_INLINE static Bounded Rounded(Number value, double error) {
    return {value, error + std::abs(HighPart(value)) * kRounding<Number>};
  }
};

using Approx = Bounded<double>;
using ApproxPair = Bounded<Pair>;

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
