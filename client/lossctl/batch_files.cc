#include "client/lossctl/batch_files.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace lossd::lossctl {
namespace {

bool IsFloat(const NpyArray& array) { return array.values.index() < 2; }

absl::Status CheckLogits(const std::string& path, const NpyArray& logits) {
  if (!IsFloat(logits)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": logits of dtype ", DtypeName(logits),
                     ", want float32 or float64"));
  }
  if (logits.shape.empty() || logits.shape.back() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": logits of shape ", ShapeString(logits.shape),
                     ", want a last axis of at least one class"));
  }
  return absl::OkStatus();
}

absl::Status CheckLabels(const BatchFlags& flags, const NpyArray& logits,
                         const NpyArray& labels) {
  Shape want = logits.shape;
  if (!IsFloat(labels)) want.pop_back();
  if (labels.shape == want) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      flags.labels, ": ", DtypeName(labels), " labels of shape ",
      ShapeString(labels.shape), ", want ", ShapeString(want), ", the shape ",
      ShapeString(logits.shape), " of ", flags.logits,
      IsFloat(labels) ? ": floats are targets, integers class indices"
                      : " without its last axis"));
}

std::vector<int64_t> IndicesOf(const NpyArray& array) {
  return std::visit(
      [](const auto& values) {
        return std::vector<int64_t>(values.begin(), values.end());
      },
      array.values);
}

template <typename T>
absl::StatusOr<AnyBatchArrays> Arrays(const BatchFlags& flags,
                                      NpyArray&& logits,
                                      const NpyArray& labels) {
  BatchArrays<T> arrays;
  arrays.logits_shape = logits.shape;
  arrays.rows_shape = logits.shape;
  arrays.rows_shape.pop_back();
  arrays.logits = std::get<std::vector<T>>(std::move(logits.values));
  if (IsFloat(labels)) {
    auto targets = FloatsOf<T>(flags.labels, labels);
    if (!targets.ok()) return targets.status();
    arrays.targets = *std::move(targets);
  } else {
    arrays.labels = IndicesOf(labels);
  }
  return arrays;
}

}  // namespace

void AddBatchFlags(CLI::App* command, BatchFlags* flags) {
  command
      ->add_option("--logits", flags->logits,
                   ".npy, float32 or float64, the last axis the classes")
      ->required();
  command
      ->add_option("--labels", flags->labels,
                   ".npy: int32 or int64 class indices, the logits' shape "
                   "without the last axis; or float targets, the logits' shape")
      ->required();
}

template <typename T>
int64_t BatchArrays<T>::rows() const {
  return static_cast<int64_t>(logits.size()) / classes();
}

template <typename T>
Batch<T> BatchArrays<T>::View(const LossFlags& flags) const {
  return {.rows = rows(),
          .classes = classes(),
          .logits = logits,
          .labels = labels,
          .targets = targets,
          .row_weights = flags.row_weights(),
          .upstream_gradient = flags.upstream_gradient()};
}

template struct BatchArrays<float>;
template struct BatchArrays<double>;

absl::StatusOr<AnyBatchArrays> ReadBatch(const BatchFlags& flags) {
  auto logits = ReadNpy(flags.logits);
  if (!logits.ok()) return logits.status();
  absl::Status status = CheckLogits(flags.logits, *logits);
  if (!status.ok()) return status;
  const auto labels = ReadNpy(flags.labels);
  if (!labels.ok()) return labels.status();
  status = CheckLabels(flags, *logits, *labels);
  if (!status.ok()) return status;
  if (std::holds_alternative<std::vector<float>>(logits->values)) {
    return Arrays<float>(flags, *std::move(logits), *labels);
  }
  return Arrays<double>(flags, *std::move(logits), *labels);
}

}  // namespace lossd::lossctl
