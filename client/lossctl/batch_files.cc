#include "client/lossctl/batch_files.h"

#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace lossd::lossctl {
namespace {

bool IsFloat(const NpyArray& array) { return array.values.index() < 2; }

// Returns the class axis, from 0.
absl::StatusOr<size_t> CheckLogits(const BatchFlags& flags,
                                   const NpyArray& logits) {
  const Shape& shape = logits.shape;
  if (!IsFloat(logits)) {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.logits, ": logits of dtype ", DtypeName(logits),
                     ", want float32 or float64"));
  }
  if (shape.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        flags.logits, ": logits of shape (), want at least a class axis"));
  }
  const auto rank = static_cast<int64_t>(shape.size());
  if (flags.class_axis < -rank || flags.class_axis >= rank) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--class-axis = ", flags.class_axis, ", want [", -rank, ", ", rank,
        "), an axis of ", flags.logits, " of shape ", ShapeString(shape)));
  }
  const int64_t axis =
      flags.class_axis + (flags.class_axis < 0 ? rank : int64_t{0});
  if (shape[axis] == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.logits, ": logits of shape ", ShapeString(shape),
                     ", want at least one class on axis ", axis));
  }
  return static_cast<size_t>(axis);
}

Shape WithoutAxis(Shape shape, size_t axis) {
  shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
  return shape;
}

absl::Status CheckLabels(const BatchFlags& flags, const NpyArray& logits,
                         size_t class_axis, const NpyArray& labels) {
  const Shape want =
      IsFloat(labels) ? logits.shape : WithoutAxis(logits.shape, class_axis);
  if (labels.shape == want) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      flags.labels, ": ", DtypeName(labels), " labels of shape ",
      ShapeString(labels.shape), ", want ", ShapeString(want), ", the shape ",
      ShapeString(logits.shape), " of ", flags.logits,
      IsFloat(labels) ? ": floats are targets, integers class indices"
                      : " without its class axis"));
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
                                      NpyArray&& logits, size_t class_axis,
                                      const NpyArray& labels) {
  BatchArrays<T> arrays;
  arrays.logits_shape = logits.shape;
  arrays.rows_shape = WithoutAxis(logits.shape, class_axis);
  arrays.logits = std::get<std::vector<T>>(std::move(logits.values));
  arrays.classes = static_cast<int64_t>(logits.shape[class_axis]);
  arrays.rows = static_cast<int64_t>(arrays.logits.size()) / arrays.classes;
  // Without rows an axis is of length 0, and it does not matter how they lie.
  if (arrays.rows > 0) {
    for (size_t i = class_axis + 1; i < logits.shape.size(); ++i) {
      arrays.inner *= static_cast<int64_t>(logits.shape[i]);
    }
  }
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
                   ".npy, float32 or float64, of any rank but 0")
      ->required();
  command
      ->add_option("--labels", flags->labels,
                   ".npy: int32 or int64 class indices, the logits' shape "
                   "without the class axis; or float targets, the logits' "
                   "shape")
      ->required();
  command
      ->add_option("--class-axis", flags->class_axis,
                   "The logits' axis that holds the classes, negative counted "
                   "from the end; in [-rank, rank). Rows are the other axes, "
                   "row-major")
      ->capture_default_str();
}

template <typename T>
Batch<T> BatchArrays<T>::View(const LossFlags& flags) const {
  return {.rows = rows,
          .classes = classes,
          .inner = inner,
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
  const auto axis = CheckLogits(flags, *logits);
  if (!axis.ok()) return axis.status();
  const auto labels = ReadNpy(flags.labels);
  if (!labels.ok()) return labels.status();
  const absl::Status status = CheckLabels(flags, *logits, *axis, *labels);
  if (!status.ok()) return status;
  if (std::holds_alternative<std::vector<float>>(logits->values)) {
    return Arrays<float>(flags, *std::move(logits), *axis, *labels);
  }
  return Arrays<double>(flags, *std::move(logits), *axis, *labels);
}

}  // namespace lossd::lossctl
