// A real number known to hundreds of bits, and how far a float is from it.
#ifndef LOSSD_TESTS_SUPPORT_EXACT_REAL_H_
#define LOSSD_TESTS_SUPPORT_EXACT_REAL_H_

#include <mpfr.h>

#include <cstdint>

#include "server/compute/element_type.h"

namespace lossd::testing {

// An MPFR number with value semantics. NaN and the infinities are values, too.
class ExactReal {
 public:
  // NaN, as MPFR starts.
  explicit ExactReal(mpfr_prec_t precision_bits);
  ExactReal(mpfr_prec_t precision_bits, double value);
  ExactReal(const ExactReal& other);
  ExactReal& operator=(const ExactReal& other);
  ~ExactReal();

  // For MPFR's own functions.
  mpfr_ptr get() { return value_; }
  mpfr_srcptr get() const { return value_; }
  mpfr_prec_t precision_bits() const { return mpfr_get_prec(value_); }

  // Rounded to nearest at the higher precision of both.
  friend ExactReal operator+(const ExactReal& a, const ExactReal& b);
  friend ExactReal operator-(const ExactReal& a, const ExactReal& b);
  friend ExactReal operator*(const ExactReal& a, const ExactReal& b);
  friend ExactReal operator/(const ExactReal& a, const ExactReal& b);

 private:
  mpfr_t value_;
};

// Rounded once to T, any of the core's element types: nearest, ties to even,
// subnormal included, infinite from the upper middle on.
template <typename T>
T RoundTo(const ExactReal& exact);

// RoundTo for the type that `type` names, widened.
double RoundToType(compute::ElementType type, const ExactReal& exact);

// |computed - exact| in units of the last place that T has at `exact`'s binade;
// in the subnormal range that is T's smallest positive number. 0 where both are
// NaN or the same infinity, and where `computed` is the infinity that `exact`
// rounds to; +inf for any other NaN or infinity.
template <typename T>
double ErrorInUlps(T computed, const ExactReal& exact);

// ErrorInUlps for the type that `type` names. REQUIRES: `computed` is a value
// of that type.
double ErrorInUlpsOfType(compute::ElementType type, double computed,
                         const ExactReal& exact);

// |computed - exact| / |exact|; 0 where both are NaN, 0 or the same infinity.
double RelativeError(double computed, const ExactReal& exact);

// How many representable values lie between a and b, one end included: 0 when
// equal (+0 and -0 are), 1 for neighbours. INT64_MAX when either is NaN.
int64_t UlpDistance(float a, float b);
int64_t UlpDistance(double a, double b);

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_SUPPORT_EXACT_REAL_H_
