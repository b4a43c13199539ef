// The sigmoid focal loss by MPFR.
#ifndef LOSSD_TESTS_COMPUTE_SIGMOID_FOCAL_ORACLE_H_
#define LOSSD_TESTS_COMPUTE_SIGMOID_FOCAL_ORACLE_H_

#include "server/compute/loss.h"
#include "tests/compute/elementwise_oracle.h"

namespace lossd::testing {

// By the definition, but for exponentials that would overflow: p = sigma(z),
// 1 - p and -ln of both come from exp(-|z|).
inline ExactElement SigmoidFocalOracle(const compute::SigmoidFocal& loss,
                                       double z, double t) {
  const ExactReal one = Real(1), target = Real(t), gamma = Real(loss.gamma);
  const ExactReal rest = one - target;
  const ExactReal size = Real(z < 0 ? -z : z);
  const ExactReal e = Exp(Real(0) - size);
  const ExactReal large = one / (one + e), small = e / (one + e);
  const ExactReal log = Log1p(e), log_small = log + size;
  const ExactReal p = z < 0 ? small : large, q = z < 0 ? large : small;
  const ExactReal entropy =
      target * (z < 0 ? log_small : log) + rest * (z < 0 ? log : log_small);
  const ExactReal m = p * rest + q * target;  // 1 - p_t
  const ExactReal alpha = Real(loss.alpha.value_or(1));
  const ExactReal weight =
      loss.alpha ? alpha * target + (one - alpha) * rest : one;
  const ExactReal power = Power(m, gamma);
  // Without a slope where gamma is 0 or m beyond MPFR's range.
  const ExactReal steep =
      loss.gamma == 0 || mpfr_zero_p(m.get()) != 0
          ? Real(0)
          : gamma * power / m * (p * q * (one - target - target)) * entropy;
  return {weight * power * entropy,
          weight * (power * (rest * p - target * q) + steep)};
}

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_COMPUTE_SIGMOID_FOCAL_ORACLE_H_
