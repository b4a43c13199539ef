#include "tests/support/oracle.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace lossd::testing {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// 256 bits, and room for 1 beside the smallest exponential that can still
// decide a rounding.
mpfr_prec_t PrecisionBits(absl::Span<const double> logits, double max) {
  double spread = 0;
  for (double z : logits) {
    if (z != -kInfinity) spread = std::max(spread, max - z);
  }
  return 256 + static_cast<mpfr_prec_t>(1.45 * std::min(spread, 800.0));
}

// Whether the row's results are NaN.
bool IsUndefined(absl::Span<const double> logits) {
  bool has_finite = false;
  for (double z : logits) {
    if (std::isnan(z) || z == kInfinity) return true;
    if (z != -kInfinity) has_finite = true;
  }
  return !has_finite;
}

ExactRow UndefinedRow(size_t classes) {
  const ExactReal nan(64);
  return {nan, nan, std::vector<ExactReal>(classes, nan)};
}

// exp(z_j - max) for every j.
std::vector<ExactReal> Exponentials(absl::Span<const double> logits, double max,
                                    mpfr_prec_t precision) {
  std::vector<ExactReal> result;
  result.reserve(logits.size());
  for (double z : logits) {
    ExactReal e(precision, z);
    mpfr_sub_d(e.get(), e.get(), max, MPFR_RNDN);
    mpfr_exp(e.get(), e.get(), MPFR_RNDN);
    result.push_back(e);
  }
  return result;
}

ExactReal SumWithout(const std::vector<ExactReal>& terms, size_t left_out,
                     mpfr_prec_t precision) {
  ExactReal sum(precision, 0.0);
  for (size_t j = 0; j < terms.size(); ++j) {
    if (j != left_out) {
      mpfr_add(sum.get(), sum.get(), terms[j].get(), MPFR_RNDN);
    }
  }
  return sum;
}

}  // namespace

ExactRow OracleRow(absl::Span<const double> logits, int64_t label,
                   double upstream, double divisor) {
  assert(label >= 0 && static_cast<size_t>(label) < logits.size());
  if (IsUndefined(logits)) return UndefinedRow(logits.size());
  const auto max = std::max_element(logits.begin(), logits.end());
  const mpfr_prec_t precision = PrecisionBits(logits, *max);

  std::vector<ExactReal> e = Exponentials(logits, *max, precision);
  const ExactReal rest = SumWithout(e, max - logits.begin(), precision);
  ExactReal scale_divisor(precision + 64);  // (1 + R) D
  mpfr_add_ui(scale_divisor.get(), rest.get(), 1, MPFR_RNDN);
  mpfr_mul_d(scale_divisor.get(), scale_divisor.get(), divisor, MPFR_RNDN);

  ExactReal log_sum(precision);
  mpfr_log1p(log_sum.get(), rest.get(), MPFR_RNDN);
  ExactRow row{ExactReal(precision, *max), ExactReal(precision), {}};
  mpfr_add_d(row.log_sum_exp.get(), log_sum.get(), *max, MPFR_RNDN);
  mpfr_sub_d(row.loss.get(), row.loss.get(), logits[label], MPFR_RNDN);
  mpfr_add(row.loss.get(), row.loss.get(), log_sum.get(), MPFR_RNDN);

  const ExactReal others = SumWithout(e, label, precision);
  mpfr_neg(e[label].get(), others.get(), MPFR_RNDN);
  for (ExactReal& g : e) {
    mpfr_mul_d(g.get(), g.get(), upstream, MPFR_RNDN);
    mpfr_div(g.get(), g.get(), scale_divisor.get(), MPFR_RNDN);
  }
  row.gradient = std::move(e);
  return row;
}

OracleOutput OracleBatch(const OracleInput& input) {
  OracleOutput output;
  for (int64_t label : input.labels) {
    if (label != input.ignore_index) ++output.row_count;
  }
  const bool is_mean = input.reduction == compute::Reduction::kMean;
  if (is_mean) {
    output.divisor =
        input.divisor.value_or(static_cast<double>(output.row_count));
  }
  ExactReal sum(2048, 0.0);
  for (int64_t r = 0; r < input.rows; ++r) {
    std::optional<ExactRow>& row = output.rows.emplace_back();
    if (input.labels[r] == input.ignore_index) continue;
    row = OracleRow(input.logits.subspan(r * input.classes, input.classes),
                    input.labels[r], 1.0, output.divisor);
    mpfr_add(sum.get(), sum.get(), row->loss.get(), MPFR_RNDN);
  }
  if (is_mean) mpfr_div_d(sum.get(), sum.get(), output.divisor, MPFR_RNDN);
  if (input.reduction != compute::Reduction::kNone) output.loss = sum;
  return output;
}

int64_t OraclePrediction(absl::Span<const double> logits) {
  return std::max_element(logits.begin(), logits.end()) - logits.begin();
}

}  // namespace lossd::testing
