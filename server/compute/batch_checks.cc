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

constexpr double kMinLogitScale = 1e-6;
constexpr double kMaxLogitScale = 1e6;

bool IsFactor(double value) {
  return value == 0.0 || (value >= kMinFactor && value <= kMaxFactor);
}

absl::Status OutOfRange(const char* field, double value, const char* want) {
  return MakeError(absl::StatusCode::kInvalidArgument,
                   absl::StrCat(field, " = ", value, ", want ", want),
                   {"OPTION_OUT_OF_RANGE",
                    field,
                    {{"value", absl::StrCat(value)}, {"want", want}}});
}

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
double WeightOfRow(const SoftmaxCrossEntropy& spec, const Batch& batch,
                   int64_t row, int64_t label) {
  double weight = 1.0;
  if (!batch.row_weights.empty()) weight = batch.row_weights[row];
  if (label >= 0 && !spec.class_weights.empty()) {
    weight *= spec.class_weights[label];
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

absl::Status CheckSoftmaxCrossEntropy(const SoftmaxCrossEntropy& spec,
                                      const Batch& batch) {
  if (!(spec.label_smoothing >= 0.0 && spec.label_smoothing <= 1.0)) {
    return OutOfRange("label_smoothing", spec.label_smoothing, "[0, 1]");
  }
  if (!IsFactor(spec.z_loss)) {
    return OutOfRange("z_loss", spec.z_loss, "0 or [2^-100, 2^100]");
  }
  if (!(spec.logit_scale >= kMinLogitScale &&
        spec.logit_scale <= kMaxLogitScale)) {
    return OutOfRange("logit_scale", spec.logit_scale, "[1e-06, 1e+06]");
  }
  for (size_t i = 0; i < spec.class_weights.size(); ++i) {
    if (!IsFactor(spec.class_weights[i])) {
      return ElementOutOfRange("class_weights", static_cast<int64_t>(i),
                               spec.class_weights[i], "0 or [2^-100, 2^100]");
    }
  }
  if (spec.ignore_index &&
      std::holds_alternative<FloatTargets>(batch.labels)) {
    return MakeError(absl::StatusCode::kInvalidArgument,
                     absl::StrCat("ignore_index = ", *spec.ignore_index,
                                  ", want none: it is for class indices and "
                                  "the labels are probabilities"),
                     {"IGNORE_INDEX_WITH_PROBABILITIES",
                      "ignore_index",
                      {{"ignore_index", absl::StrCat(*spec.ignore_index)}}});
  }
  return absl::OkStatus();
}

absl::Status CheckRowFactors(const Batch& batch) {
  for (size_t i = 0; i < batch.row_weights.size(); ++i) {
    if (!IsFactor(batch.row_weights[i])) {
      return ElementOutOfRange("row_weights", static_cast<int64_t>(i),
                               batch.row_weights[i], "0 or [2^-100, 2^100]");
    }
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

absl::StatusOr<CountedRows> CountRows(const SoftmaxCrossEntropy& spec,
                                      const Batch& batch) {
  const auto* const labels = std::get_if<ClassIndices>(&batch.labels);
  CountedRows counted;
  const bool weighted = !batch.row_weights.empty() ||
                        (labels != nullptr && !spec.class_weights.empty());
  ExactSum weight;
  for (int64_t row = 0; row < batch.rows; ++row) {
    int64_t label = -1;
    if (labels != nullptr) {
      label = (*labels)[row];
      if (label == spec.ignore_index) continue;
      if (label < 0 || label >= batch.classes) {
        return LabelOutOfRange(row, label, batch.classes);
      }
    }
    ++counted.rows;
    if (weighted) weight.Add(WeightOfRow(spec, batch, row, label));
  }
  counted.weight =
      weighted ? weight.Rounded() : static_cast<double>(counted.rows);
  return counted;
}

absl::Status NonFiniteError(const SoftmaxCrossEntropy& spec, const Batch& batch,
                            const RowSource& logits, int64_t row) {
  std::vector<std::byte> scratch;
  const std::byte* const bytes = logits.Row(row, scratch);
  for (int64_t i = 0; i < batch.classes; ++i) {
    const double value = LoadElement(batch.logits_type, bytes, i);
    if (value * spec.logit_scale < std::numeric_limits<double>::infinity()) {
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
  return MakeError(
      absl::StatusCode::kInvalidArgument,
      absl::StrFormat("logits[%d] has nothing but -inf in its %d classes, want "
                      "at least one above (row %d)",
                      row, batch.classes, row),
      {"NO_POSSIBLE_CLASS",
       "logits",
       {{"row", absl::StrCat(row)}, {"classes", absl::StrCat(batch.classes)}}});
}

absl::Status TargetError(const Batch& batch, const RowSource& targets,
                         int64_t row) {
  const ElementType type = std::get<FloatTargets>(batch.labels).type;
  std::vector<std::byte> scratch;
  const std::byte* const bytes = targets.Row(row, scratch);
  int64_t i = 0;
  double value = 0.0;
  for (; i < batch.classes; ++i) {
    value = LoadElement(type, bytes, i);
    if (!(value >= 0.0 && value <= kMaxFactor)) break;
  }
  return MakeError(
      absl::StatusCode::kInvalidArgument,
      absl::StrFormat("labels[%d, %d] = %g, want [0, 2^100] (row %d, class %d)",
                      row, i, value, row, i),
      {"TARGET_OUT_OF_RANGE",
       "labels",
       {{"row", absl::StrCat(row)},
        {"class", absl::StrCat(i)},
        {"value", absl::StrCat(value)}}});
}

}  // namespace lossd::compute
