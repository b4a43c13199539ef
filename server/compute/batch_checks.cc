#include "server/compute/batch_checks.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/compute/error.h"
#include "server/compute/exact_sum.h"

namespace lossd::compute {
namespace {

// Wide enough for any use; beyond, products of divisor and exponentials could
// leave float64's range.
constexpr double kMinDivisor = 1e-100;
constexpr double kMaxDivisor = 1e100;

absl::Status ElementOutOfRange(const char* field, int64_t i, double value,
                               const char* want) {
  return MakeError(
      absl::StatusCode::kInvalidArgument,
      absl::StrFormat("%s[%d] = %g, want %s", field, i, value, want),
      {"OPTION_OUT_OF_RANGE",
       field,
       {{"index", absl::StrCat(i)},
        {"value", absl::StrCat(value)},
        {"want", want}}});
}

// Sums of products that are rounded once each.
double WeightOfRow(const LossRules& rules, const Batch& batch, int64_t row,
                   int64_t label) {
  double weight = RowWeight(batch, row);
  if (label >= 0 && !rules.class_weights.empty()) {
    weight *= rules.class_weights[label];
  }
  return weight;
}

absl::Status LabelOutOfRange(int64_t row, int64_t label, int64_t classes) {
  return MakeError(
      absl::StatusCode::kInvalidArgument,
      absl::StrFormat("labels[%d] = %d, want [0, %d)", row, label, classes),
      {"LABEL_OUT_OF_RANGE",
       "labels",
       {{"row", absl::StrCat(row)},
        {"label", absl::StrCat(label)},
        {"classes", absl::StrCat(classes)}}});
}

absl::Status NoPossibleClass(const char* field, int64_t row, int64_t classes) {
  return MakeError(
      absl::StatusCode::kInvalidArgument,
      absl::StrFormat("%s[%d] has nothing but -inf in its %d classes, want "
                      "at least one above (row %d)",
                      field, row, classes, row),
      {"NO_POSSIBLE_CLASS",
       field,
       {{"row", absl::StrCat(row)}, {"classes", absl::StrCat(classes)}}});
}

}  // namespace

absl::Status CheckLossOptions(const LossOptions& options) {
  if (!options.divisor.has_value()) return absl::OkStatus();
  const std::string value = absl::StrCat(*options.divisor);
  if (options.reduction != Reduction::kMean) {
    return MakeError(
        absl::StatusCode::kInvalidArgument,
        absl::StrCat("divisor = ", value, ", want none: it is for the mean"),
        {"DIVISOR_WITHOUT_MEAN", "divisor", {{"divisor", value}}});
  }
  if (!(*options.divisor >= kMinDivisor && *options.divisor <= kMaxDivisor)) {
    return MakeError(
        absl::StatusCode::kInvalidArgument,
        absl::StrCat("divisor = ", value, ", want [1e-100, 1e+100]"),
        {"OPTION_OUT_OF_RANGE", "divisor", {{"divisor", value}}});
  }
  return absl::OkStatus();
}

bool IsFactor(double value) {
  return value == 0.0 || (value >= kMinFactor && value <= kMaxFactor);
}

absl::Status OptionOutOfRange(const char* option, double value,
                              const char* want) {
  return MakeError(absl::StatusCode::kInvalidArgument,
                   absl::StrCat(option, " = ", value, ", want ", want),
                   {"OPTION_OUT_OF_RANGE",
                    option,
                    {{"value", absl::StrCat(value)}, {"want", want}}});
}

absl::Status CheckFactors(const char* option, absl::Span<const double> values) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (!IsFactor(values[i])) {
      return ElementOutOfRange(option, static_cast<int64_t>(i), values[i],
                               kFactorRange);
    }
  }
  return absl::OkStatus();
}

absl::Status IgnoreIndexWithTargets(int64_t ignore_index) {
  const std::string value = absl::StrCat(ignore_index);
  return MakeError(absl::StatusCode::kInvalidArgument,
                   absl::StrCat("ignore_index = ", value,
                                ", want none: it is for class indices and the "
                                "labels are probabilities"),
                   {"IGNORE_INDEX_WITH_PROBABILITIES",
                    "ignore_index",
                    {{"ignore_index", value}}});
}

absl::Status CheckRules(const LossRules& rules, const Batch& batch,
                        const LossOutputs& outputs) {
  const bool has_indices = std::holds_alternative<ClassIndices>(batch.labels);
  if (has_indices ? !rules.takes_indices : !rules.takes_targets) {
    return MakeError(
        absl::StatusCode::kInvalidArgument,
        has_indices ? "labels are class indices, want float targets of the "
                      "logits' shape for this loss"
                    : "labels are float targets, want class indices for this "
                      "loss",
        {has_indices ? "INDICES_NOT_TAKEN" : "TARGETS_NOT_TAKEN",
         "labels",
         {}});
  }
  if (!rules.has_probabilities &&
      !(outputs.log_sum_exp.empty() && outputs.probabilities.empty() &&
        outputs.log_probabilities.empty())) {
    return MakeError(absl::StatusCode::kInvalidArgument,
                     "outputs ask for log_sum_exp, probabilities or "
                     "log_probabilities, want none of these: they are "
                     "softmax cross-entropy's",
                     {"OUTPUT_NOT_OF_THIS_LOSS", "outputs", {}});
  }
  return absl::OkStatus();
}

absl::Status CheckRowFactors(const Batch& batch) {
  if (absl::Status status = CheckFactors("row_weights", batch.row_weights);
      !status.ok()) {
    return status;
  }
  for (size_t i = 0; i < batch.upstream_gradient.size(); ++i) {
    if (!IsFactor(std::abs(batch.upstream_gradient[i]))) {
      return ElementOutOfRange("upstream_gradient", static_cast<int64_t>(i),
                               batch.upstream_gradient[i],
                               "0 or +-[2^-100, 2^100]");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<CountedRows> CountRows(const LossRules& rules,
                                      const Batch& batch) {
  const auto* const labels = std::get_if<ClassIndices>(&batch.labels);
  CountedRows counted;
  const bool weighted = !batch.row_weights.empty() ||
                        (labels != nullptr && !rules.class_weights.empty());
  ExactSum weight;
  for (int64_t row = 0; row < batch.rows; ++row) {
    int64_t label = -1;
    if (labels != nullptr) {
      label = (*labels)[row];
      if (label == rules.ignore_index) continue;
      if (label < 0 || label >= batch.classes) {
        return LabelOutOfRange(row, label, batch.classes);
      }
    }
    ++counted.rows;
    if (weighted) weight.Add(WeightOfRow(rules, batch, row, label));
  }
  counted.weight =
      weighted ? weight.Rounded() : static_cast<double>(counted.rows);
  return counted;
}

absl::Status NonFiniteError(const LossRules& rules, const Batch& batch,
                            const RowSource& logits, int64_t row) {
  std::vector<std::byte> scratch;
  const std::byte* const bytes = logits.Row(row, scratch);
  for (int64_t i = 0; i < batch.classes; ++i) {
    const double value = LoadElement(batch.logits_type, bytes, i);
    if (value * rules.logit_scale < std::numeric_limits<double>::infinity()) {
      continue;
    }
    const std::string name = std::isnan(value) ? "nan" : absl::StrCat(value);
    return MakeError(
        absl::StatusCode::kInvalidArgument,
        absl::StrFormat("logits[%d, %d] = %s, want a finite number or -inf "
                        "(row %d, class %d)",
                        row, i, name, row, i),
        {"NON_FINITE_LOGIT",
         "logits",
         {{"row", absl::StrCat(row)},
          {"class", absl::StrCat(i)},
          {"value", name}}});
  }
  return NoPossibleClass("logits", row, batch.classes);
}

absl::Status TargetError(const LossRules& rules, const Batch& batch,
                         const RowSource& targets, int64_t row) {
  const ElementType type = std::get<FloatTargets>(batch.labels).type;
  std::vector<std::byte> scratch;
  const std::byte* const bytes = targets.Row(row, scratch);
  int64_t i = 0;
  double value = 0.0;
  for (; i < batch.classes; ++i) {
    value = LoadElement(type, bytes, i);
    if (!(value >= rules.min_target && value <= rules.max_target)) break;
  }
  if (i == batch.classes) return NoPossibleClass("labels", row, batch.classes);
  return MakeError(
      absl::StatusCode::kInvalidArgument,
      absl::StrFormat("labels[%d, %d] = %g, want %s (row %d, class %d)", row, i,
                      value, rules.target_range, row, i),
      {"TARGET_OUT_OF_RANGE",
       "labels",
       {{"row", absl::StrCat(row)},
        {"class", absl::StrCat(i)},
        {"value", absl::StrCat(value)}}});
}

}  // namespace lossd::compute
