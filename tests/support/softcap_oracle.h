// The part of the oracle that is a cap's: a = s k tanh(z / k).
#ifndef LOSSD_TESTS_SUPPORT_SOFTCAP_ORACLE_H_
#define LOSSD_TESTS_SUPPORT_SOFTCAP_ORACLE_H_

#include "absl/types/span.h"
#include "tests/support/exact_real.h"

namespace lossd::testing {

// s k tanh(z / k), by MPFR's tanh; -inf of -inf, which is a mask.
ExactReal CappedLogit(double z, double cap, double scale,
                      mpfr_prec_t precision);

// 1 - tanh^2(z / k) = 1 / cosh^2(z / k); 0 of -inf.
ExactReal CapSlope(double z, double cap, mpfr_prec_t precision);

// How many bits a difference of two capped logits may lose beside what its
// terms have. What lies closer than exp(-2000) is taken for equal.
mpfr_prec_t CapCancellationBits(absl::Span<const double> logits, double cap,
                                double scale);

// How many bits stand between 1 and the exponential of -(a_max - a_c), and
// between 1 and a_max: the farthest up to exp(-2000), and the nearest.
mpfr_prec_t CapSpreadBits(absl::Span<const double> logits, double cap,
                          double scale);

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_SUPPORT_SOFTCAP_ORACLE_H_
