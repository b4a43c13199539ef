#include "tests/support/softcap_oracle.h"

#include <algorithm>
#include <cmath>

namespace lossd::testing {
namespace {

// tanh differs from 1 by less than exp(-2000) beyond it.
constexpr double kReach = 1000;
constexpr mpfr_exp_t kMostBits = 2900;  // of exp(-2000)

ExactReal Quotient(double z, double cap, mpfr_prec_t precision) {
  return ExactReal(precision, z) / ExactReal(precision, cap);
}

}  // namespace

ExactReal CappedLogit(double z, double cap, double scale,
                      mpfr_prec_t precision) {
  if (std::isinf(z)) return ExactReal(precision, z);
  ExactReal t = Quotient(z, cap, precision);
  mpfr_tanh(t.get(), t.get(), MPFR_RNDN);
  return ExactReal(precision, scale) * ExactReal(precision, cap) * t;
}

ExactReal CapSlope(double z, double cap, mpfr_prec_t precision) {
  if (std::isinf(z)) return ExactReal(precision, 0.0);
  ExactReal c = Quotient(z, cap, precision);
  mpfr_cosh(c.get(), c.get(), MPFR_RNDN);
  return ExactReal(precision, 1.0) / (c * c);
}

mpfr_prec_t CapCancellationBits(absl::Span<const double> logits, double cap,
                                double scale) {
  double farthest = 0;
  for (double z : logits) {
    if (std::isfinite(z)) farthest = std::max(farthest, std::abs(z) / cap);
  }
  // 2 log2(e) for each unit, and the 53 bits of z.
  return static_cast<mpfr_prec_t>(2.9 * std::min(farthest, kReach)) + 80 +
         std::max(0, std::ilogb(scale * cap));
}

mpfr_prec_t CapSpreadBits(absl::Span<const double> logits, double cap,
                          double scale) {
  const mpfr_prec_t precision = 64 + CapCancellationBits(logits, cap, scale);
  const double largest = *std::max_element(logits.begin(), logits.end());
  const ExactReal max = CappedLogit(largest, cap, scale, precision);
  mpfr_exp_t nearest = 0;
  if (mpfr_regular_p(max.get())) {
    nearest = std::min(nearest, mpfr_get_exp(max.get()));
  }
  double farthest = 0;
  for (double z : logits) {
    const ExactReal distance = max - CappedLogit(z, cap, scale, precision);
    if (!mpfr_regular_p(distance.get())) continue;
    nearest = std::min(nearest, mpfr_get_exp(distance.get()));
    farthest = std::max(farthest, mpfr_get_d(distance.get(), MPFR_RNDN));
  }
  return static_cast<mpfr_prec_t>(1.45 * std::min(farthest, 2000.0)) +
         std::min<mpfr_exp_t>(-nearest, kMostBits) + 2;
}

}  // namespace lossd::testing
