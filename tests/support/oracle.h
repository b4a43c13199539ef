// The oracle: softmax cross-entropy by its formula, to hundreds of bits.
#ifndef LOSSD_TESTS_SUPPORT_ORACLE_H_
#define LOSSD_TESTS_SUPPORT_ORACLE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "server/compute/loss.h"
#include "tests/support/exact_real.h"

namespace lossd::testing {

// The results of one row, not yet rounded.
struct ExactRow {
  ExactReal loss;
  ExactReal log_sum_exp;
  std::vector<ExactReal> gradient;  // [classes]
};

// Computes one row from the formula, with m the largest logit:
//
//   R        = sum over j of exp(z_j - m), one j with z_j = m left out
//   lse      = m + ln(1 + R)
//   loss     = (m - z_y) + ln(1 + R)
//   gradient =  exp(z_i - m) / (1 + R) * u / D                  for i != y
//            = -(sum over j != y of exp(z_j - m)) / (1 + R) * u / D     i = y
//
// No term cancels but in lse, where 256 bits leave enough. float logits are
// passed widened: that is exact. A row with NaN or +inf, or of nothing but
// -inf, is NaN throughout; a label on -inf has loss +inf. Accuracy: relative
// 2^-200 at least. With logits that span up to 800, also sums such as 1 +
// exp(-800) are kept apart from 1, so that ties are seen as ties. REQUIRES:
// classes >= 1, 0 <= label < classes. Cost: about 3 us per class, 15 us where
// the logits span hundreds.
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
  std::optional<double> divisor = std::nullopt;
};

struct OracleOutput {
  // Empty for an ignored row: its loss and gradient are 0. Its log_sum_exp is
  // not part of the loss; ask OracleRow with any label.
  std::vector<std::optional<ExactRow>> rows;
  std::optional<ExactReal> loss;  // absent for kNone; NaN for a mean of nothing
  int64_t row_count = 0;
  double divisor = 1.0;
};

OracleOutput OracleBatch(const OracleInput& input);

// The class of the largest logit, the lowest one on ties.
// REQUIRES: no NaN.
int64_t OraclePrediction(absl::Span<const double> logits);

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_SUPPORT_ORACLE_H_
