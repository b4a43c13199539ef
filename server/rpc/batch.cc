#include "server/rpc/batch.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "server/rpc/errors.h"

namespace lossd::rpc {
namespace {

// Finds the class axis and leaves in `view` how the logits divide into rows.
absl::Status ViewRows(const v1::ComputeLossRequest& request,
                      const TensorView& logits, BatchView& view,
                      Unbuilt& unbuilt) {
  const int64_t rank = static_cast<int64_t>(logits.shape.size());
  if (rank == 0) {
    return OutOfRange("logits.shape", "[]", "rank >= 1");
  }
  const int64_t axis = request.has_class_axis() ? request.class_axis() : -1;
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
  if (class_axis != rank - 1) {
    unbuilt.Note("a class_axis other than the last", "class_axis");
  }
  view.rows = logits.elements / view.classes;
  view.logits_shape = logits.shape;
  view.logits_bytes = logits.bytes;
  return absl::OkStatus();
}

absl::Status ViewLogits(const v1::ComputeLossRequest& request, BatchView& view,
                        Unbuilt& unbuilt) {
  if (!request.has_logits()) return Missing("logits", "a tensor");
  const absl::StatusOr<TensorView> logits =
      TensorFromProto(request.logits(), "logits");
  if (!logits.ok()) return logits.status();
  const std::optional<compute::ElementType> type =
      FloatTypeFromProto(logits->data_type);
  if (!type) {
    return OutOfRange("logits.data_type", NameOf(logits->data_type),
                      "a float type");
  }
  view.logits_type = view.gradient_type = *type;
  return ViewRows(request, *logits, view, unbuilt);
}

// The logits' shape without the class axis.
std::vector<int64_t> RowsShape(const v1::ComputeLossRequest& request,
                               Shape logits_shape) {
  std::vector<int64_t> shape(logits_shape.begin(), logits_shape.end());
  const int64_t axis = request.has_class_axis() ? request.class_axis() : -1;
  shape.erase(axis < 0 ? shape.end() + axis : shape.begin() + axis);
  return shape;
}

absl::Status ViewLabels(const v1::ComputeLossRequest& request, BatchView& view,
                        Unbuilt& unbuilt) {
  if (!request.has_labels()) return Missing("labels", "a tensor");
  const absl::StatusOr<TensorView> labels =
      TensorFromProto(request.labels(), "labels");
  if (!labels.ok()) return labels.status();
  if (IsFloat(labels->data_type)) {
    unbuilt.Note(
        fmt::format("float targets (labels of {})", NameOf(labels->data_type)),
        "labels.data_type");
    return CheckShape(*labels, "labels", view.logits_shape);
  }
  view.labels_shape = labels->shape;
  view.labels = {labels->data_type == v1::DATA_TYPE_INT32
                     ? compute::ClassIndices::Type::kInt32
                     : compute::ClassIndices::Type::kInt64,
                 labels->bytes.data(), labels->elements};
  return CheckShape(*labels, "labels", RowsShape(request, view.logits_shape));
}

// A factor per row, of which this build takes none.
absl::Status CheckRowFactors(const v1::Tensor& tensor, std::string_view field,
                             int64_t rows, bool one_will_do, Unbuilt& unbuilt) {
  const absl::StatusOr<TensorView> view = TensorFromProto(tensor, field);
  if (!view.ok()) return view.status();
  if (!IsFloat(view->data_type)) {
    return OutOfRange(fmt::format("{}.data_type", field),
                      NameOf(view->data_type), "a float type");
  }
  unbuilt.Note(fmt::format("field \"{}\"", field), field);
  if (one_will_do && view->elements == 1) return absl::OkStatus();
  return CheckShape(*view, field, {rows});
}

absl::Status SetGradientType(const v1::ComputeLossRequest& request,
                             BatchView& view, Unbuilt& unbuilt) {
  const v1::DataType type = request.gradient_data_type();
  if (!v1::DataType_IsValid(type)) {
    return OutOfRange("gradient_data_type", NameOf(type), "a known DataType");
  }
  if (type == v1::DATA_TYPE_UNSPECIFIED) return absl::OkStatus();
  const std::optional<compute::ElementType> gradient_type =
      FloatTypeFromProto(type);
  if (!gradient_type) {
    return OutOfRange("gradient_data_type", NameOf(type), "a float type");
  }
  if (*gradient_type == compute::ElementType::kFloat64 &&
      view.logits_type != compute::ElementType::kFloat64) {
    unbuilt.Note(
        fmt::format("gradient_data_type {} for logits of a narrower type",
                    NameOf(type)),
        "gradient_data_type");
  }
  view.gradient_type = *gradient_type;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<BatchView> BatchFromProto(const v1::ComputeLossRequest& request,
                                         Unbuilt& unbuilt) {
  BatchView view;
  absl::Status status = ViewLogits(request, view, unbuilt);
  if (status.ok()) status = ViewLabels(request, view, unbuilt);
  if (status.ok() && request.has_row_weights()) {
    status = CheckRowFactors(request.row_weights(), "row_weights", view.rows,
                             false, unbuilt);
  }
  if (status.ok() && request.has_upstream_gradient()) {
    status = CheckRowFactors(
        request.upstream_gradient(), "upstream_gradient", view.rows,
        request.reduction() != v1::REDUCTION_NONE, unbuilt);
  }
  if (status.ok()) status = SetGradientType(request, view, unbuilt);
  if (!status.ok()) return status;
  return view;
}

}  // namespace lossd::rpc
