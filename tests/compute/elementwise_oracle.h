// Losses of one logit and one target each, held to MPFR: every result of a
// batch within 1 ulp.
#ifndef LOSSD_TESTS_COMPUTE_ELEMENTWISE_ORACLE_H_
#define LOSSD_TESTS_COMPUTE_ELEMENTWISE_ORACLE_H_

#include <algorithm>
#include <cstdint>

#include "gtest/gtest.h"
#include "tests/support/exact_real.h"
#include "tests/support/spec_runner.h"

namespace lossd::testing {

inline constexpr mpfr_prec_t kBits = 1100;

inline ExactReal Real(double value) { return ExactReal(kBits, value); }
inline ExactReal Exp(const ExactReal& x) {
  ExactReal e(kBits);
  mpfr_exp(e.get(), x.get(), MPFR_RNDN);
  return e;
}
inline ExactReal Log1p(const ExactReal& x) {
  ExactReal log(kBits);
  mpfr_log1p(log.get(), x.get(), MPFR_RNDN);
  return log;
}
inline ExactReal Power(const ExactReal& x, const ExactReal& exponent) {
  ExactReal power(kBits);
  mpfr_pow(power.get(), x.get(), exponent.get(), MPFR_RNDN);
  return power;
}

// A term and its derivative.
struct ExactElement {
  ExactReal term;
  ExactReal slope;
};

template <typename T>
class ElementwiseOracleTest : public ::testing::Test {
 protected:
  // Runs the batch and expects of its results what `oracle(z, t, i)`, an
  // ExactElement, makes them.
  template <typename OracleOf>
  SpecRun<T> Expect(const compute::LossSpec& spec, const SpecBatch<T>& batch,
                    const OracleOf& oracle) {
    SpecRun<T> run = MustRun(spec, batch);
    ExactReal sum = Real(0);
    for (int64_t r = 0; r < batch.rows; ++r) {
      sum = sum + ExpectRow(batch, run, r, oracle);
    }
    if (batch.options.reduction != compute::Reduction::kNone) {
      const ExactReal loss = sum / Real(run.summary.divisor);
      // Where a term of a narrower type is subnormal in float64, it may be 0.
      const bool is_tiny = mpfr_cmp_d(loss.get(), 0x1p-1000) < 0;
      EXPECT_LE(is_tiny ? *run.summary.loss * 0x1p1000
                        : RelativeError(*run.summary.loss, loss) * 0x1p40,
                1.0);
    }
    return run;
  }

  double worst() const { return worst_; }

 private:
  template <typename OracleOf>
  ExactReal ExpectRow(const SpecBatch<T>& batch, const SpecRun<T>& run,
                      int64_t r, const OracleOf& oracle) {
    const double weight = batch.row_weights.empty() ? 1 : batch.row_weights[r];
    const double upstream = batch.upstream.empty() ? 1 : batch.upstream[r];
    const ExactReal classes = Real(static_cast<double>(batch.classes));
    const ExactReal factor =
        Real(weight) * Real(upstream) / (classes * Real(run.summary.divisor));
    ExactReal sum = Real(0);
    for (int64_t i = 0; i < batch.classes; ++i) {
      const int64_t at = r * batch.classes + i;
      const ExactElement want =
          oracle(Wide(batch.logits[at]), batch.targets[at], i);
      sum = sum + want.term;
      ExpectClose(run.gradient[at], want.slope * factor, batch, r, i);
    }
    const ExactReal loss = sum * Real(weight) / classes;
    ExpectClose(run.row_losses[r], loss, batch, r, -1);
    return loss;
  }
  void ExpectClose(T computed, const ExactReal& want, const SpecBatch<T>& batch,
                   int64_t r, int64_t i) {
    const double ulps = ErrorInUlps(computed, want);
    worst_ = std::max(worst_, ulps);
    const int64_t at = r * batch.classes + std::max<int64_t>(i, 0);
    EXPECT_LE(ulps, 1.0) << "row " << r << ", class " << i << ", logit "
                         << Wide(batch.logits[at]) << ", target "
                         << batch.targets[at] << ": " << Wide(computed)
                         << ", want " << Wide(RoundTo<T>(want));
  }

  double worst_ = 0;
};

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_COMPUTE_ELEMENTWISE_ORACLE_H_
