#include "tests/support/accuracy.h"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <optional>
#include <random>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "tests/support/elements.h"
#include "tests/support/oracle.h"

namespace lossd::testing {
namespace {

using compute::ElementType;

// The row's largest scaled logit in size, times 2^-100: what a float64
// log_sum_exp may be off where the maximum and the logarithm cancel
// (docs/numerics.md). None where logits are capped.
double LogSumExpSlack(ElementType type, absl::Span<const double> logits,
                      const OracleOptions& options) {
  if (type != ElementType::kFloat64 || options.logit_softcap) return 0.0;
  double largest = 0.0;
  for (double z : logits) {
    if (std::isfinite(z)) largest = std::max(largest, std::abs(z));
  }
  return options.logit_scale * largest * 0x1p-100;
}

// The errors of one row, for the report.
class RowErrors {
 public:
  RowErrors(uint64_t seed, int64_t row, int64_t classes)
      : seed_(seed), row_(row), classes_(classes) {}

  // `computed`, a value of `type`, in `column`: -1 for the row's own results.
  void Add(ElementType type, double computed, const ExactReal& exact,
           int64_t column, Errors& errors, double slack = 0.0) const {
    ++errors.values;
    const double rounded = RoundToType(type, exact);
    if (computed == rounded) return;
    if (std::isnan(computed) && std::isnan(rounded)) return;
    ++errors.misrounded;
    if (RelativeError(computed, exact) * std::abs(rounded) <= slack) return;
    const double ulps = ErrorInUlpsOfType(type, computed, exact);
    if (ulps <= errors.worst_ulps) return;
    errors.worst_ulps = ulps;
    errors.worst_at =
        absl::StrFormat("seed %d, row %d, class %d of %d: %.17g, want %.17g",
                        seed_, row_, column, classes_, computed, rounded);
  }

 private:
  uint64_t seed_;
  int64_t row_;
  int64_t classes_;
};

void IgnoreSomeRows(std::optional<int64_t> ignore_index, uint64_t seed,
                    std::vector<int64_t>& labels) {
  if (!ignore_index.has_value()) return;
  Random random(seed);
  for (int64_t& label : labels) {
    if (random() % 4 == 0) label = *ignore_index;
  }
}

// Loss and gradient 0, the rest as for any row.
ExactRow IgnoredRow(absl::Span<const double> logits,
                    const OracleOptions& of_batch) {
  OracleOptions options;
  options.logit_scale = of_batch.logit_scale;
  options.logit_softcap = of_batch.logit_softcap;
  ExactRow row = OracleRow(logits, 0, options);
  row.loss = ExactReal(64, 0.0);
  std::fill(row.gradient.begin(), row.gradient.end(), row.loss);
  return row;
}

// `least`: how far off the loss may be where it is tiny, since the rows' losses
// are doubles.
double LossError(double computed, const ExactReal& exact, double least) {
  const double error = RelativeError(computed, exact);
  return error * std::abs(RoundTo<double>(exact)) <= least ? 0.0 : error;
}

void ExpectErrorsWithin(const std::string& title, const char* kind,
                        const Errors& errors, double max_ulps) {
  std::cout << absl::StreamFormat(
      "%-28s %-13s worst %8.4f ulp, misrounded %d of %d\n", title, kind,
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

// What the core computed beside what the oracle wants.
template <typename T>
class Comparison {
 public:
  Comparison(const TestBatch<T>& batch, const RunSettings& settings,
             uint64_t seed)
      : settings_(settings),
        seed_(seed),
        logits_(Wide(batch.logits)),
        targets_(Rounded(settings.target_probabilities, settings.target_type)),
        run_(MustRunLoss(batch, settings)) {
    const compute::SoftmaxCrossEntropy& loss = settings.loss;
    input_ = {.rows = batch.rows,
              .classes = batch.classes,
              .logits = logits_,
              .labels = batch.labels,
              .ignore_index = loss.ignore_index,
              .reduction = settings.options.reduction,
              .divisor = settings.options.divisor,
              .options = {.class_weights = settings.class_weights,
                          .label_smoothing = loss.label_smoothing,
                          .z_loss = loss.z_loss,
                          .logit_scale = loss.logit_scale,
                          .logit_softcap = loss.logit_softcap},
              .probabilities = targets_,
              .row_weights = settings.row_weights,
              .upstream = settings.upstream};
  }
  Comparison(const Comparison&) = delete;
  Comparison& operator=(const Comparison&) = delete;

  void AddTo(AccuracyReport& report) {
    AddDivisor(report);
    OracleOutput want = OracleBatch(input_);
    EXPECT_EQ(run_.summary.row_count, want.row_count);
    for (int64_t r = 0; r < input_.rows; ++r) {
      std::optional<ExactRow>& row = want.rows[r];
      if (!row.has_value()) {
        row = IgnoredRow(Logits(r), input_.options);
      }
      AddRow(r, *row, report);
    }
    EXPECT_EQ(run_.summary.loss.has_value(), want.loss.has_value());
    const bool is_open = want.divisor == 0 && want.row_count > 0;
    if (!run_.summary.loss.has_value() || !want.loss.has_value() || is_open) {
      return;
    }
    const double least =
        static_cast<double>(input_.rows) * 0x1p-1074 / want.divisor;
    report.worst_relative_loss =
        std::max(report.worst_relative_loss,
                 LossError(*run_.summary.loss, *want.loss, least));
  }

 private:
  absl::Span<const double> Logits(int64_t row) const {
    return input_.logits.subspan(row * input_.classes, input_.classes);
  }

  // Checks the divisor, and makes it the formula's.
  void AddDivisor(AccuracyReport& report) {
    ExactReal exact(64, input_.divisor.value_or(1.0));
    const bool is_mean = input_.reduction == compute::Reduction::kMean;
    if (is_mean && !input_.divisor.has_value()) exact = OracleDivisor(input_);
    report.worst_relative_divisor =
        std::max(report.worst_relative_divisor,
                 RelativeError(run_.summary.divisor, exact));
    if (is_mean) input_.divisor = run_.summary.divisor;
  }

  void AddRow(int64_t r, const ExactRow& want, AccuracyReport& report) const {
    constexpr ElementType kType = ElementTypeOf<T>();
    const RowErrors errors(seed_, r, input_.classes);
    errors.Add(kType, Wide(run_.row_losses[r]), want.loss, -1,
               report.row_losses);
    errors.Add(kType, Wide(run_.log_sum_exp[r]), want.log_sum_exp, -1,
               report.log_sum_exp,
               LogSumExpSlack(kType, Logits(r), input_.options));
    for (int64_t c = 0; c < input_.classes; ++c) {
      const int64_t i = r * input_.classes + c;
      const double gradient = settings_.gradient_type.has_value()
                                  ? run_.gradient_wide[i]
                                  : Wide(run_.gradient[i]);
      errors.Add(settings_.gradient_type.value_or(kType), gradient,
                 want.gradient[c], c, report.gradient);
      errors.Add(kType, Wide(run_.probabilities[i]), want.probabilities[c], c,
                 report.probabilities);
      errors.Add(kType, Wide(run_.log_probabilities[i]),
                 want.log_probabilities[c], c, report.log_probabilities);
    }
  }

  const RunSettings& settings_;
  const uint64_t seed_;
  const std::vector<double> logits_;
  const std::vector<double> targets_;
  const LossRun<T> run_;
  OracleInput input_;
};

}  // namespace

template <typename T>
void MeasureAccuracy(Distribution distribution, int64_t rows, int64_t classes,
                     uint64_t seed, const RunSettings& settings,
                     AccuracyReport& report) {
  TestBatch<T> batch = DrawBatch<T>(distribution, rows, classes, seed);
  IgnoreSomeRows(settings.loss.ignore_index, seed, batch.labels);
  Comparison<T>(batch, settings, seed).AddTo(report);
}

template <typename T>
void MeasureAccuracy(Distribution distribution, int64_t rows, int64_t classes,
                     uint64_t seed, AccuracyReport& report) {
  RunSettings settings;
  settings.options.reduction = compute::Reduction::kSum;
  MeasureAccuracy<T>(distribution, rows, classes, seed, settings, report);
}

#define LOSSD_INSTANTIATE(T)                                                 \
  template void MeasureAccuracy<T>(Distribution, int64_t, int64_t, uint64_t, \
                                   const RunSettings&, AccuracyReport&);     \
  template void MeasureAccuracy<T>(Distribution, int64_t, int64_t, uint64_t, \
                                   AccuracyReport&);
LOSSD_INSTANTIATE(float)
LOSSD_INSTANTIATE(double)
LOSSD_INSTANTIATE(compute::Float16)
LOSSD_INSTANTIATE(compute::BFloat16)
#undef LOSSD_INSTANTIATE

void ExpectAccurate(const std::string& title, const AccuracyReport& report,
                    double max_ulps) {
  ExpectErrorsWithin(title, "gradient", report.gradient, max_ulps);
  ExpectErrorsWithin(title, "probabilities", report.probabilities, max_ulps);
  ExpectErrorsWithin(title, "log_probabilities", report.log_probabilities,
                     max_ulps);
  ExpectErrorsWithin(title, "row_losses", report.row_losses, max_ulps);
  ExpectErrorsWithin(title, "log_sum_exp", report.log_sum_exp, max_ulps);
  EXPECT_LE(report.worst_relative_loss, 0x1p-40) << title;
  EXPECT_LE(report.worst_relative_divisor, 0x1p-50) << title;
}

}  // namespace lossd::testing
