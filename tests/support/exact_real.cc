#include "tests/support/exact_real.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>

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

template <typename T>
double ErrorInUlps(T computed, const ExactReal& exact) {
  if (std::isinf(computed) && computed == RoundTo<T>(exact)) return 0;
  const double special = ErrorOfNonFinite(computed, exact);
  if (special >= 0) return special;
  ExactReal difference = Difference(computed, exact);
  using Limits = std::numeric_limits<T>;
  // MPFR's exponent e means 2^(e-1) <= |x| < 2^e, as the limits' does.
  mpfr_exp_t exponent = Limits::min_exponent;
  if (mpfr_regular_p(exact.get())) {
    exponent = std::max<mpfr_exp_t>(exponent, mpfr_get_exp(exact.get()));
  }
  mpfr_div_2si(difference.get(), difference.get(), exponent - Limits::digits,
               MPFR_RNDN);
  return mpfr_get_d(difference.get(), MPFR_RNDN);
}

template double ErrorInUlps<float>(float, const ExactReal&);
template double ErrorInUlps<double>(double, const ExactReal&);

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
