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
absl::Status ViewRows(const v1::ComputeLossRequest& request,
                      const TensorView& logits, BatchView& view) {
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
  view.class_axis = LayoutAround(logits.shape, class_axis);
  view.rows = logits.elements / view.classes;
  view.logits_shape = logits.shape;
  view.rows_shape.assign(logits.shape.begin(), logits.shape.end());
  view.rows_shape.erase(view.rows_shape.begin() + class_axis);
  view.logits_bytes = logits.bytes;
  return absl::OkStatus();
}

absl::Status ViewLogits(const v1::ComputeLossRequest& request,
                        BatchView& view) {
  if (!request.has_logits()) return Missing("logits", "a tensor");
  const absl::StatusOr<TensorView> logits =
      FloatTensorFromProto(request.logits(), "logits");
  if (!logits.ok()) return logits.status();
  view.logits_type = view.gradient_type =
      *FloatTypeFromProto(logits->data_type);
  return ViewRows(request, *logits, view);
}

absl::Status ViewLabels(const v1::ComputeLossRequest& request,
                        BatchView& view) {
  if (!request.has_labels()) return Missing("labels", "a tensor");
  const absl::StatusOr<TensorView> labels =
      TensorFromProto(request.labels(), "labels");
  if (!labels.ok()) return labels.status();
  view.targets_type = FloatTypeFromProto(labels->data_type);
  if (view.targets_type) {
    view.targets_bytes = labels->bytes;
    return CheckShape(*labels, "labels", view.logits_shape);
  }
  view.labels = {labels->data_type == v1::DATA_TYPE_INT32
                     ? compute::ClassIndices::Type::kInt32
                     : compute::ClassIndices::Type::kInt64,
                 labels->bytes.data(), labels->elements};
  return CheckShape(*labels, "labels", view.rows_shape);
}

// A factor for each row: [rows], or in the rows' own shape.
absl::StatusOr<std::vector<double>> RowFactors(const v1::Tensor& tensor,
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

absl::Status SetRowFactors(const v1::ComputeLossRequest& request,
                           BatchView& view) {
  if (request.has_row_weights()) {
    absl::StatusOr<std::vector<double>> factors =
        RowFactors(request.row_weights(), "row_weights", view,
                   FactorSign::kNotNegative, false);
    if (!factors.ok()) return factors.status();
    view.row_weights = *std::move(factors);
  }
  if (request.has_upstream_gradient()) {
    absl::StatusOr<std::vector<double>> factors =
        RowFactors(request.upstream_gradient(), "upstream_gradient", view,
                   FactorSign::kAny, request.reduction() != v1::REDUCTION_NONE);
    if (!factors.ok()) return factors.status();
    view.upstream_gradient = *std::move(factors);
  }
  return absl::OkStatus();
}

absl::Status SetGradientType(const v1::ComputeLossRequest& request,
                             BatchView& view) {
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
  view.gradient_type = *gradient_type;
  return absl::OkStatus();
}

}  // namespace

void MoveClassesLast(const ClassAxisLayout& layout, compute::ElementType type,
                     absl::Span<const std::byte>& bytes,
                     std::unique_ptr<std::byte[]>& moved) {
  moved = std::make_unique_for_overwrite<std::byte[]>(bytes.size());
  MoveClassesLast(layout, compute::ElementBytes(type), bytes.data(),
                  moved.get());
  bytes = {moved.get(), bytes.size()};
}

absl::StatusOr<BatchView> BatchFromProto(
    const v1::ComputeLossRequest& request) {
  BatchView view;
  absl::Status status = ViewLogits(request, view);
  if (status.ok()) status = ViewLabels(request, view);
  if (status.ok()) status = SetRowFactors(request, view);
  if (status.ok()) status = SetGradientType(request, view);
  if (!status.ok()) return status;
  if (view.class_axis.classes_last()) return view;
  MoveClassesLast(view.class_axis, view.logits_type, view.logits_bytes,
                  view.moved_logits);
  if (view.targets_type) {
    MoveClassesLast(view.class_axis, *view.targets_type, view.targets_bytes,
                    view.moved_targets);
  }
  return view;
}

}  // namespace lossd::rpc
