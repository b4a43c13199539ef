// Functions of real numbers to as many bits as their argument has.
#ifndef LOSSD_TESTS_GOLDEN_EXACT_MATH_H_
#define LOSSD_TESTS_GOLDEN_EXACT_MATH_H_

#include <mpfr.h>

#include <vector>

#include "tests/support/exact_real.h"

namespace lossd::golden {

using testing::ExactReal;
using Reals = std::vector<ExactReal>;

inline ExactReal Applied(int (*function)(mpfr_ptr, mpfr_srcptr, mpfr_rnd_t),
                         const ExactReal& x) {
  ExactReal result(x.precision_bits());
  function(result.get(), x.get(), MPFR_RNDN);
  return result;
}

inline ExactReal Exp(const ExactReal& x) { return Applied(mpfr_exp, x); }
inline ExactReal Log(const ExactReal& x) { return Applied(mpfr_log, x); }
inline ExactReal Log1p(const ExactReal& x) { return Applied(mpfr_log1p, x); }
inline ExactReal Tanh(const ExactReal& x) { return Applied(mpfr_tanh, x); }
inline ExactReal Abs(const ExactReal& x) { return Applied(mpfr_abs, x); }
inline ExactReal operator-(const ExactReal& x) { return Applied(mpfr_neg, x); }

inline ExactReal Pow(const ExactReal& x, const ExactReal& y) {
  ExactReal result(x.precision_bits());
  mpfr_pow(result.get(), x.get(), y.get(), MPFR_RNDN);
  return result;
}

inline bool operator<(const ExactReal& a, const ExactReal& b) {
  return mpfr_less_p(a.get(), b.get()) != 0;
}
inline bool IsZero(const ExactReal& x) { return mpfr_zero_p(x.get()) != 0; }
inline bool IsFinite(const ExactReal& x) { return mpfr_number_p(x.get()) != 0; }
inline bool IsPositive(const ExactReal& x) { return mpfr_sgn(x.get()) > 0; }

}  // namespace lossd::golden

#endif  // LOSSD_TESTS_GOLDEN_EXACT_MATH_H_
