#include "tests/support/exact_real.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "server/compute/narrow_float.h"
#include "tests/support/elements.h"

namespace lossd::testing {
namespace {

// Maps the bits of a float to integers in the floats' order, both zeros to 0.
template <typename Signed, typename T>
Signed OrderedBits(T value) {
  const auto bits = std::bit_cast<Signed>(value);
  return bits >= 0 ? bits : std::numeric_limits<Signed>::min() - bits;
}

template <typename Signed, typename T>
int64_t Distance(T a, T b) {
  constexpr int64_t kFar = std::numeric_limits<int64_t>::max();
  if (std::isnan(a) || std::isnan(b)) return kFar;
  const Signed x = OrderedBits<Signed>(a);
  const Signed y = OrderedBits<Signed>(b);
  const uint64_t distance = static_cast<uint64_t>(std::max(x, y)) -
                            static_cast<uint64_t>(std::min(x, y));
  return static_cast<int64_t>(std::min<uint64_t>(distance, kFar));
}

// The special values of ErrorInUlps and RelativeError; negative: none applies.
double ErrorOfNonFinite(double computed, const ExactReal& exact) {
  if (std::isfinite(computed) && mpfr_number_p(exact.get())) return -1;
  if (std::isnan(computed) && mpfr_nan_p(exact.get())) return 0;
  if (std::isinf(computed) && mpfr_inf_p(exact.get()) &&
      std::signbit(computed) == (mpfr_signbit(exact.get()) != 0)) {
    return 0;
  }
  return std::numeric_limits<double>::infinity();
}

ExactReal Difference(double computed, const ExactReal& exact) {
  ExactReal difference(exact.precision_bits() + 64);
  mpfr_sub_d(difference.get(), exact.get(), computed, MPFR_RNDN);
  mpfr_abs(difference.get(), difference.get(), MPFR_RNDN);
  return difference;
}

using BinaryFunction = int (*)(mpfr_ptr, mpfr_srcptr, mpfr_srcptr, mpfr_rnd_t);

ExactReal Apply(BinaryFunction function, const ExactReal& a,
                const ExactReal& b) {
  ExactReal result(std::max(a.precision_bits(), b.precision_bits()));
  function(result.get(), a.get(), b.get(), MPFR_RNDN);
  return result;
}

// The bits of a significand, and the exponent e of the smallest normal number,
// which is 2^(e - 1); as std::numeric_limits counts them.
template <typename T>
struct Format {
  static constexpr int kDigits = T::kMantissaBits + 1;
  static constexpr mpfr_exp_t kMinExponent = 2 - T::kMaxExponent;
};
template <>
struct Format<float> {
  static constexpr int kDigits = std::numeric_limits<float>::digits;
  static constexpr mpfr_exp_t kMinExponent =
      std::numeric_limits<float>::min_exponent;
};
template <>
struct Format<double> {
  static constexpr int kDigits = std::numeric_limits<double>::digits;
  static constexpr mpfr_exp_t kMinExponent =
      std::numeric_limits<double>::min_exponent;
};

// log2 of the unit of the last place that T has at `exact`'s binade. MPFR's
// exponent e means 2^(e-1) <= |x| < 2^e.
template <typename T>
mpfr_exp_t UlpExponent(const ExactReal& exact) {
  mpfr_exp_t exponent = Format<T>::kMinExponent;
  if (mpfr_regular_p(exact.get())) {
    exponent = std::max(exponent, mpfr_get_exp(exact.get()));
  }
  return exponent - Format<T>::kDigits;
}

// Counts `exact` in units of the last place, rounds the count once, and adds
// the exponent's bits: a count that fills the significand is the next exponent.
template <typename Narrow>
Narrow RoundToNarrow(const ExactReal& exact) {
  constexpr uint32_t kInfinity = (2u * Narrow::kMaxExponent + 1)
                                 << Narrow::kMantissaBits;
  if (mpfr_nan_p(exact.get())) {
    return {kInfinity | 1u << (Narrow::kMantissaBits - 1)};
  }
  const uint32_t sign = mpfr_signbit(exact.get()) ? 0x8000u : 0u;
  uint32_t size = 0;
  if (mpfr_inf_p(exact.get()) ||
      (mpfr_regular_p(exact.get()) &&
       mpfr_get_exp(exact.get()) > Narrow::kMaxExponent + 1)) {
    size = kInfinity;
  } else if (mpfr_regular_p(exact.get())) {
    const mpfr_exp_t ulp = UlpExponent<Narrow>(exact);
    ExactReal units(exact.precision_bits());
    mpfr_abs(units.get(), exact.get(), MPFR_RNDN);
    mpfr_mul_2si(units.get(), units.get(), -ulp, MPFR_RNDN);
    const mpfr_exp_t least_ulp =
        Format<Narrow>::kMinExponent - Format<Narrow>::kDigits;
    size = static_cast<uint32_t>(mpfr_get_ui(units.get(), MPFR_RNDN)) +
           (static_cast<uint32_t>(ulp - least_ulp) << Narrow::kMantissaBits);
  }
  return {static_cast<uint16_t>(sign | size)};
}

}  // namespace

ExactReal::ExactReal(mpfr_prec_t precision_bits) {
  mpfr_init2(value_, precision_bits);
}

ExactReal::ExactReal(mpfr_prec_t precision_bits, double value)
    : ExactReal(precision_bits) {
  mpfr_set_d(value_, value, MPFR_RNDN);
}

ExactReal::ExactReal(const ExactReal& other)
    : ExactReal(other.precision_bits()) {
  mpfr_set(value_, other.value_, MPFR_RNDN);
}

ExactReal& ExactReal::operator=(const ExactReal& other) {
  if (this == &other) return *this;
  mpfr_set_prec(value_, other.precision_bits());
  mpfr_set(value_, other.value_, MPFR_RNDN);
  return *this;
}

ExactReal::~ExactReal() { mpfr_clear(value_); }

ExactReal operator+(const ExactReal& a, const ExactReal& b) {
  return Apply(mpfr_add, a, b);
}
ExactReal operator-(const ExactReal& a, const ExactReal& b) {
  return Apply(mpfr_sub, a, b);
}
ExactReal operator*(const ExactReal& a, const ExactReal& b) {
  return Apply(mpfr_mul, a, b);
}
ExactReal operator/(const ExactReal& a, const ExactReal& b) {
  return Apply(mpfr_div, a, b);
}

// MPFR's conversions round once even where the result is subnormal;
// exact_real_test checks that at the midpoints.
template <>
float RoundTo<float>(const ExactReal& exact) {
  return mpfr_get_flt(exact.get(), MPFR_RNDN);
}

template <>
double RoundTo<double>(const ExactReal& exact) {
  return mpfr_get_d(exact.get(), MPFR_RNDN);
}

template <>
compute::Float16 RoundTo<compute::Float16>(const ExactReal& exact) {
  return RoundToNarrow<compute::Float16>(exact);
}

template <>
compute::BFloat16 RoundTo<compute::BFloat16>(const ExactReal& exact) {
  return RoundToNarrow<compute::BFloat16>(exact);
}

double RoundToType(compute::ElementType type, const ExactReal& exact) {
  return compute::WithElementType(
      type, [&](auto zero) { return Wide(RoundTo<decltype(zero)>(exact)); });
}

template <typename T>
double ErrorInUlps(T computed, const ExactReal& exact) {
  const double wide = Wide(computed);
  if (std::isinf(wide) && wide == Wide(RoundTo<T>(exact))) return 0;
  const double special = ErrorOfNonFinite(wide, exact);
  if (special >= 0) return special;
  ExactReal difference = Difference(wide, exact);
  mpfr_mul_2si(difference.get(), difference.get(), -UlpExponent<T>(exact),
               MPFR_RNDN);
  return mpfr_get_d(difference.get(), MPFR_RNDN);
}

template double ErrorInUlps(float, const ExactReal&);
template double ErrorInUlps(double, const ExactReal&);
template double ErrorInUlps(compute::Float16, const ExactReal&);
template double ErrorInUlps(compute::BFloat16, const ExactReal&);

double ErrorInUlpsOfType(compute::ElementType type, double computed,
                         const ExactReal& exact) {
  return compute::WithElementType(type, [&](auto zero) {
    using T = decltype(zero);
    return ErrorInUlps(compute::FromDouble<T>(computed), exact);
  });
}

double RelativeError(double computed, const ExactReal& exact) {
  const double special = ErrorOfNonFinite(computed, exact);
  if (special >= 0) return special;
  ExactReal difference = Difference(computed, exact);
  if (mpfr_zero_p(difference.get())) return 0;
  mpfr_div(difference.get(), difference.get(), exact.get(), MPFR_RNDN);
  return std::fabs(mpfr_get_d(difference.get(), MPFR_RNDN));
}

int64_t UlpDistance(float a, float b) { return Distance<int32_t>(a, b); }
int64_t UlpDistance(double a, double b) { return Distance<int64_t>(a, b); }

}  // namespace lossd::testing
