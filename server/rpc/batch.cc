#include "server/rpc/batch.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "server/rpc/errors.h"
#include "server/rpc/factors.h"

namespace lossd::rpc {
namespace {

// Finds the class axis and leaves in `view` how the logits divide into rows.
absl::Status ViewRows(const wire::LossRequest& request,
                      const TensorView& logits, BatchView& view) {
  const int64_t rank = static_cast<int64_t>(logits.shape.size());
  if (rank == 0) {
    return OutOfRange("logits.shape", "[]", "rank >= 1");
  }
  const int64_t axis =
      request.fields.has_class_axis() ? request.fields.class_axis() : -1;
  if (axis < -rank || axis >= rank) {
    return OutOfRange("class_axis", std::to_string(axis),
                      fmt::format("[{}, {})", -rank, rank));
  }
  const int64_t class_axis = axis < 0 ? axis + rank : axis;
  view.classes = logits.shape[class_axis];
  if (view.classes == 0) {
    return OutOfRange(fmt::format("logits.shape[{}]", class_axis), "0",
                      ">= 1 (the class axis)");
  }
  view.class_axis = LayoutAround(logits.shape, class_axis);
  view.rows = logits.elements / view.classes;
  view.logits_shape = logits.shape;
  view.rows_shape.assign(logits.shape.begin(), logits.shape.end());
  view.rows_shape.erase(view.rows_shape.begin() + class_axis);
  view.logits = logits.pieces;
  return absl::OkStatus();
}

absl::Status ViewLogits(const wire::LossRequest& request, LogitsSource source,
                        BatchView& view) {
  if (!request.logits) return Missing("logits", "a tensor");
  const absl::StatusOr<TensorView> logits =
      source == LogitsSource::kRequest
          ? FloatTensorFromProto(*request.logits, "logits")
          : FloatTensorWithoutContents(*request.logits, "logits");
  if (!logits.ok()) return logits.status();
  view.logits_type = view.gradient_type =
      *FloatTypeFromProto(logits->data_type);
  absl::Status status = ViewRows(request, *logits, view);
  if (!status.ok() || source == LogitsSource::kRequest ||
      view.class_axis.classes_last()) {
    return status;
  }
  return OutOfRange("class_axis", std::to_string(request.fields.class_axis()),
                    "the last axis: chunks are of whole rows");
}

absl::Status ViewLabels(const wire::LossRequest& request, BatchView& view) {
  if (!request.labels) return Missing("labels", "a tensor");
  const absl::StatusOr<TensorView> labels =
      TensorFromProto(*request.labels, "labels");
  if (!labels.ok()) return labels.status();
  view.targets_type = FloatTypeFromProto(labels->data_type);
  if (view.targets_type) {
    view.targets = labels->pieces;
    return CheckShape(*labels, "labels", view.logits_shape);
  }
  view.labels = {labels->data_type == v1::DATA_TYPE_INT32
                     ? compute::ClassIndices::Type::kInt32
                     : compute::ClassIndices::Type::kInt64,
                 labels->Contiguous(view.gathered_labels), labels->elements};
  return CheckShape(*labels, "labels", view.rows_shape);
}

// A factor for each row: [rows], or in the rows' own shape.
absl::StatusOr<std::vector<double>> RowFactors(const wire::Tensor& tensor,
                                               std::string_view field,
                                               const BatchView& view,
                                               FactorSign sign,
                                               bool one_will_do) {
  const absl::StatusOr<TensorView> factors =
      FloatTensorFromProto(tensor, field);
  if (!factors.ok()) return factors.status();
  const Shape rows = {&view.rows, 1};
  const bool fits = factors->shape == rows ||
                    factors->shape == Shape(view.rows_shape) ||
                    (one_will_do && factors->elements == 1);
  if (fits) return FactorsOf(*factors, field, sign);
  std::string want = ToString(rows);
  if (rows != Shape(view.rows_shape))
    want += " or " + ToString(view.rows_shape);
  if (one_will_do) want += " or one element";
  return OutOfRange(fmt::format("{}.shape", field), ToString(factors->shape),
                    want);
}

absl::Status SetRowFactors(const wire::LossRequest& request, BatchView& view) {
  if (request.row_weights) {
    absl::StatusOr<std::vector<double>> factors =
        RowFactors(*request.row_weights, "row_weights", view,
                   FactorSign::kNotNegative, false);
    if (!factors.ok()) return factors.status();
    view.row_weights = *std::move(factors);
  }
  if (request.upstream_gradient) {
    const bool one_will_do = request.fields.reduction() != v1::REDUCTION_NONE;
    absl::StatusOr<std::vector<double>> factors =
        RowFactors(*request.upstream_gradient, "upstream_gradient", view,
                   FactorSign::kAny, one_will_do);
    if (!factors.ok()) return factors.status();
    view.upstream_gradient = *std::move(factors);
  }
  return absl::OkStatus();
}

absl::Status SetGradientType(const wire::LossRequest& request,
                             BatchView& view) {
  const v1::DataType type = request.fields.gradient_data_type();
  if (!v1::DataType_IsValid(type)) {
    return OutOfRange("gradient_data_type", NameOf(type), "a known DataType");
  }
  if (type == v1::DATA_TYPE_UNSPECIFIED) return absl::OkStatus();
  const std::optional<compute::ElementType> gradient_type =
      FloatTypeFromProto(type);
  if (!gradient_type) {
    return OutOfRange("gradient_data_type", NameOf(type), "a float type");
  }
  view.gradient_type = *gradient_type;
  return absl::OkStatus();
}

}  // namespace

void MoveClassesLast(const ClassAxisLayout& layout, compute::ElementType type,
                     compute::Pieces& pieces, MovedTensor& moved) {
  size_t size = 0;
  for (const wire::Run& run : pieces) size += run.size();
  if (size == 0) return;
  std::vector<std::byte> gathered;
  const std::byte* const from =
      compute::RowSource(pieces, static_cast<int64_t>(size)).Row(0, gathered);
  moved.bytes = wire::Buffer(size);
  MoveClassesLast(layout, compute::ElementBytes(type), from,
                  moved.bytes.bytes().data());
  moved.pieces.assign(1, moved.bytes.bytes());
  pieces = moved.pieces;
}

absl::StatusOr<BatchView> BatchFromProto(const wire::LossRequest& request,
                                         LogitsSource logits) {
  BatchView view;
  absl::Status status = ViewLogits(request, logits, view);
  if (status.ok()) status = ViewLabels(request, view);
  if (status.ok()) status = SetRowFactors(request, view);
  if (status.ok()) status = SetGradientType(request, view);
  if (!status.ok()) return status;
  if (view.class_axis.classes_last()) return view;
  MoveClassesLast(view.class_axis, view.logits_type, view.logits,
                  view.moved_logits);
  if (view.targets_type) {
    MoveClassesLast(view.class_axis, *view.targets_type, view.targets,
                    view.moved_targets);
  }
  return view;
}

}  // namespace lossd::rpc
