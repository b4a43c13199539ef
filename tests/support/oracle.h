// The oracle: softmax cross-entropy by its formula, to hundreds of bits.
#ifndef LOSSD_TESTS_SUPPORT_ORACLE_H_
#define LOSSD_TESTS_SUPPORT_ORACLE_H_

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "absl/types/span.h"
#include "server/compute/loss.h"
#include "tests/support/exact_real.h"

namespace lossd::testing {

// The results of one row, not yet rounded.
struct ExactRow {
  ExactReal loss;
  ExactReal log_sum_exp;
  std::vector<ExactReal> gradient;           // [classes]
  std::vector<ExactReal> probabilities;      // [classes]
  std::vector<ExactReal> log_probabilities;  // [classes], a_c - lse
};

// The label, or the classes' probabilities.
using RowTarget = std::variant<int64_t, absl::Span<const double>>;

// The options of compute::SoftmaxCrossEntropy that a row's formula has.
struct OracleOptions {
  absl::Span<const double> class_weights = {};  // [classes]; empty: 1
  double label_smoothing = 0.0;
  double z_loss = 0.0;
  double logit_scale = 1.0;
  std::optional<double> logit_softcap = std::nullopt;
};

// What a row's results are multiplied with.
struct RowFactors {
  double row_weight = 1.0;  // loss and gradient
  double upstream = 1.0;    // the gradient
  double divisor = 1.0;     // divides the gradient
};

// Computes one row from the formula. With the scaled logits a = s z, their
// largest m, t = [c = y] for a label y, class weights w, smoothing eps and
// z_loss zl:
//
//   R        = sum over c of exp(a_c - m), one c with a_c = m left out
//   lse      = m + ln(1 + R)
//   p_c      = exp(a_c - m) / (1 + R)
//   q_c      = w_c ((1 - eps) t_c + eps / C)            Q = sum over c of q_c
//   loss     = row_weight (sum over c of q_c (lse - a_c) + zl lse^2)
//   gradient = s row_weight upstream / divisor ((Q + 2 zl lse) p_c - q_c)
//
// With a logit_softcap k, a = s k tanh(z / k), -inf staying -inf, and the
// gradient is that times 1 - tanh^2(z / k).
//
// q_c = 0 times an infinite distance is 0, and so is the loss of a row of
// weight 0; a divisor of 0 makes the gradient 0. Logits and probabilities are
// passed widened: that is exact. A row with NaN or +inf, or of nothing but
// -inf, is NaN throughout.
//
// Accuracy: the gradient cancels, so 256 bits are kept beyond the size of the
// smallest exponential that can matter, exp(-2000), which stands for all below
// it; 1024 bits where there are options. Relative 2^-128 at least. A gradient
// that is 0 or the middle of two floats is exactly that.
// REQUIRES: classes >= 1, 0 <= label < classes. Cost: about 4 us per class,
// 15 us with options or where the logits span hundreds.
ExactRow OracleRow(absl::Span<const double> logits, const RowTarget& target,
                   const OracleOptions& options,
                   const RowFactors& factors = {});

// Without options: loss = lse - z_y, gradient = (p_c - [c = y]) u / D.
ExactRow OracleRow(absl::Span<const double> logits, int64_t label,
                   double upstream = 1.0, double divisor = 1.0);

// A batch as the core gets it, in plain numbers.
struct OracleInput {
  int64_t rows = 0;
  int64_t classes = 0;
  absl::Span<const double> logits;  // [rows * classes]
  absl::Span<const int64_t> labels;
  std::optional<int64_t> ignore_index = std::nullopt;
  compute::Reduction reduction = compute::Reduction::kMean;
  // Replaces the mean's denominator. What the core says it divided by belongs
  // here, too, once compared with OracleDivisor: a double, part of the formula.
  std::optional<double> divisor = std::nullopt;
  OracleOptions options = {};
  absl::Span<const double> probabilities = {};  // [rows * classes], not labels
  absl::Span<const double> row_weights = {};    // [rows]; empty: 1
  absl::Span<const double> upstream = {};       // [rows] or [1]; empty: 1
};

struct OracleOutput {
  // Empty for an ignored row: its loss and gradient are 0. Its log_sum_exp and
  // probabilities are not part of the loss; ask OracleRow with any label.
  std::vector<std::optional<ExactRow>> rows;
  // Absent for kNone; NaN for a mean with divisor 0.
  std::optional<ExactReal> loss;
  int64_t row_count = 0;
  double divisor = 1.0;
};

OracleOutput OracleBatch(const OracleInput& input);

// The mean's denominator, exactly: the sum of row_weight w_y over the rows not
// ignored, or of row_weight over all rows where targets are probabilities.
ExactReal OracleDivisor(const OracleInput& input);

// The class of the largest logit, the lowest one on ties.
// REQUIRES: no NaN.
int64_t OraclePrediction(absl::Span<const double> logits);

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_SUPPORT_ORACLE_H_
