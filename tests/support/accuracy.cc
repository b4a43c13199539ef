#include "tests/support/accuracy.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <vector>

#include "absl/strings/str_format.h"
#include "gtest/gtest.h"
#include "tests/support/loss_runner.h"
#include "tests/support/oracle.h"

namespace lossd::testing {
namespace {

// The row's largest logit in size, times 2^-100: what a float64 log_sum_exp may
// be off where the maximum and the logarithm cancel (docs/numerics.md).
template <typename T>
double LogSumExpSlack(const std::vector<double>& logits, int64_t row,
                      int64_t classes) {
  if (sizeof(T) == sizeof(float)) return 0.0;
  double largest = 0.0;
  for (int64_t i = row * classes; i < (row + 1) * classes; ++i) {
    if (std::isfinite(logits[i])) {
      largest = std::max(largest, std::abs(logits[i]));
    }
  }
  return largest * 0x1p-100;
}

template <typename T>
void AddError(T computed, const ExactReal& exact, int64_t row, int64_t column,
              int64_t classes, Errors& errors, double slack = 0.0) {
  ++errors.values;
  const T rounded = RoundTo<T>(exact);
  if (computed == rounded) return;
  if (std::isnan(computed) && std::isnan(rounded)) return;
  ++errors.misrounded;
  if (RelativeError(computed, exact) * std::abs(rounded) <= slack) return;
  const double ulps = ErrorInUlps(computed, exact);
  if (ulps <= errors.worst_ulps) return;
  errors.worst_ulps = ulps;
  errors.worst_at = absl::StrFormat("row %d, class %d of %d: %.17g, want %.17g",
                                    row, column, classes, computed, rounded);
}

void ExpectErrorsWithin(const std::string& title, const char* kind,
                        const Errors& errors, double max_ulps) {
  std::cout << absl::StreamFormat(
      "%-28s %-12s worst %8.4f ulp, misrounded %d of %d\n", title, kind,
      errors.worst_ulps, errors.misrounded, errors.values);
  const std::string key = title + "_" + kind;
  ::testing::Test::RecordProperty(key + "_worst_ulps",
                                  absl::StrFormat("%.6f", errors.worst_ulps));
  ::testing::Test::RecordProperty(key + "_misrounded",
                                  std::to_string(errors.misrounded));
  EXPECT_LE(errors.worst_ulps, max_ulps)
      << kind << " of " << title << ": " << errors.worst_at;
  EXPECT_GT(errors.values, 0);
}

}  // namespace

template <typename T>
void MeasureAccuracy(Distribution distribution, int64_t rows, int64_t classes,
                     uint64_t seed, AccuracyReport& report) {
  const TestBatch<T> batch = DrawBatch<T>(distribution, rows, classes, seed);
  RunSettings settings;
  settings.options.reduction = compute::Reduction::kSum;
  const LossRun<T> run = MustRunLoss(batch, settings);
  const std::vector<double> wide(batch.logits.begin(), batch.logits.end());
  const OracleOutput want =
      OracleBatch({.rows = rows,
                   .classes = classes,
                   .logits = wide,
                   .labels = batch.labels,
                   .reduction = compute::Reduction::kSum});
  for (int64_t r = 0; r < rows; ++r) {
    const ExactRow& row = *want.rows[r];
    AddError(run.row_losses[r], row.loss, r, batch.labels[r], classes,
             report.row_losses);
    AddError(run.log_sum_exp[r], row.log_sum_exp, r, batch.labels[r], classes,
             report.log_sum_exp, LogSumExpSlack<T>(wide, r, classes));
    for (int64_t i = 0; i < classes; ++i) {
      AddError(run.gradient[r * classes + i], row.gradient[i], r, i, classes,
               report.gradient);
    }
  }
  report.worst_relative_loss =
      std::max(report.worst_relative_loss,
               RelativeError(run.summary.loss.value_or(0), *want.loss));
}

template void MeasureAccuracy<float>(Distribution, int64_t, int64_t, uint64_t,
                                     AccuracyReport&);
template void MeasureAccuracy<double>(Distribution, int64_t, int64_t, uint64_t,
                                      AccuracyReport&);

void ExpectAccurate(const std::string& title, const AccuracyReport& report,
                    double max_ulps) {
  ExpectErrorsWithin(title, "gradient", report.gradient, max_ulps);
  ExpectErrorsWithin(title, "row_losses", report.row_losses, max_ulps);
  ExpectErrorsWithin(title, "log_sum_exp", report.log_sum_exp, max_ulps);
  EXPECT_LE(report.worst_relative_loss, 0x1p-40) << title;
}

}  // namespace lossd::testing
