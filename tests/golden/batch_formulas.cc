// From rows to the batch: weights, reduction, denominator.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "tests/golden/formulas.h"

namespace lossd::golden {
namespace {

using testing::RoundTo;

bool IsIgnored(const GoldenCase& golden, int64_t row) {
  return !golden.labels.empty() && golden.options.ignore_index.has_value() &&
         golden.labels[row] == *golden.options.ignore_index;
}

double FactorOf(const std::vector<double>& factors, int64_t row) {
  if (factors.empty()) return 1.0;
  return factors[factors.size() == 1 ? 0 : row];
}

// Class weights count with class indices, and for the losses that have them.
double DivisorOf(const GoldenCase& golden, mpfr_prec_t bits) {
  if (golden.reduction != Reduction::kMean) return 1.0;
  if (golden.divisor.has_value()) return *golden.divisor;
  const auto& class_weights = golden.options.class_weights;
  const bool is_weighted = !golden.labels.empty() && !class_weights.empty();
  ExactReal sum(bits, 0);
  for (int64_t r = 0; r < golden.rows; ++r) {
    if (IsIgnored(golden, r)) continue;
    ExactReal weight(bits, FactorOf(golden.row_weights, r));
    if (is_weighted) {
      weight = weight * ExactReal(bits, class_weights[golden.labels[r]]);
    }
    sum = sum + weight;
  }
  return RoundTo<double>(sum);
}

// The distance of the farthest finite values in a row.
double SpreadOf(const std::vector<double>& values, int64_t classes) {
  double spread = 0.0;
  for (size_t first = 0; first < values.size(); first += classes) {
    double least = std::numeric_limits<double>::infinity(), most = -least;
    for (int64_t i = 0; i < classes; ++i) {
      const double value = values[first + i];
      if (!std::isfinite(value)) continue;
      least = std::min(least, value);
      most = std::max(most, value);
    }
    spread = std::max(spread, most - least);
  }
  return spread;
}

}  // namespace

Row RowOf(const GoldenCase& golden, int64_t row, mpfr_prec_t bits) {
  const auto reals = [&](const std::vector<double>& values) {
    Reals result;
    if (values.empty()) return result;
    for (int64_t i = 0; i < golden.classes; ++i) {
      result.emplace_back(bits, values[row * golden.classes + i]);
    }
    return result;
  };
  return {.logits = reals(golden.logits),
          .label = golden.labels.empty() ? 0 : golden.labels[row],
          .targets = reals(golden.targets),
          .vector = reals(golden.vector)};
}

RowResult ComputeRow(const GoldenCase& golden, const Row& row) {
  switch (golden.loss) {
    case Loss::kSoftmaxCrossEntropy:
    case Loss::kKlDivergence:
    case Loss::kSoftmaxFocal:
      return SoftmaxRow(golden, row);
    default:
      return PlainRow(golden, row);
  }
}

BatchResult ComputeBatch(const GoldenCase& golden, mpfr_prec_t bits) {
  BatchResult batch;
  batch.divisor = DivisorOf(golden, bits);
  const ExactReal zero(bits, 0), divisor(bits, batch.divisor);
  ExactReal sum = zero;
  for (int64_t r = 0; r < golden.rows; ++r) {
    Row row = RowOf(golden, r, bits);
    const bool is_ignored = IsIgnored(golden, r);
    // Any label will do for an ignored row's log_sum_exp.
    if (is_ignored) row.label = 0;
    const RowResult result = ComputeRow(golden, row);
    const ExactReal weight(bits, FactorOf(golden.row_weights, r));
    const bool counts = !is_ignored && !IsZero(weight);
    batch.row_losses.push_back(counts ? weight * result.loss : zero);
    sum = sum + batch.row_losses.back();
    const ExactReal factor =
        weight * ExactReal(bits, FactorOf(golden.upstream_gradient, r)) /
        divisor;
    const bool moves = counts && !IsZero(divisor);
    for (const ExactReal& slope : result.gradient) {
      batch.gradient.push_back(moves ? factor * slope : zero);
    }
    for (const ExactReal& curve : result.product) {
      batch.product.push_back(moves ? factor * curve : zero);
    }
    if (result.log_sum_exp) batch.log_sum_exp.push_back(*result.log_sum_exp);
  }
  if (golden.reduction != Reduction::kNone) batch.loss = sum / divisor;
  return batch;
}

mpfr_prec_t BitsFor(const GoldenCase& golden) {
  const Options& options = golden.options;
  double spread = 0.0;  // of what exponentials are taken of
  switch (golden.loss) {
    case Loss::kSoftmaxCrossEntropy:
    case Loss::kKlDivergence:
    case Loss::kSoftmaxFocal:
      spread = SpreadOf(golden.logits, golden.classes);
      break;
    case Loss::kSigmoidCrossEntropy:
    case Loss::kSigmoidFocal:
      for (const double z : golden.logits) {
        if (std::isfinite(z)) spread = std::max(spread, std::abs(z));
      }
      break;
    default:
      break;
  }
  if (options.targets_are_logits) {
    spread = std::max(spread, SpreadOf(golden.targets, golden.classes));
  }
  spread *= options.logit_scale.value_or(1.0);
  spread /= options.temperature.value_or(1.0);
  return 1024 + static_cast<mpfr_prec_t>(3 * spread);
}

}  // namespace lossd::golden
