#include "server/rpc/hessian.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "server/compute/error.h"
#include "server/compute/hessian.h"
#include "server/rpc/errors.h"

namespace lossd::rpc {
namespace {

// A status of a batch, whose field lies in `base`; messages that begin with
// the field's name do so with its whole path.
absl::Status InBase(const absl::Status& status) {
  compute::ErrorDetails details = compute::DetailsOf(status);
  if (details.field.empty()) return status;
  std::string message(status.message());
  if (message.starts_with(details.field)) message = "base." + message;
  details.field = "base." + details.field;
  for (auto& [key, value] : details.metadata) {
    if (key == "field") value = details.field;
  }
  return compute::MakeError(status.code(), message, details);
}

// The oneof's name of the loss; none set is the default.
std::string NameOfLoss(const v1::LossSpec& spec) {
  const auto* field = spec.GetReflection()->GetOneofFieldDescriptor(
      spec, v1::LossSpec::descriptor()->oneof_decl(0));
  return field == nullptr ? "softmax_cross_entropy" : field->name();
}

absl::Status NoSecondOrder(const std::string& loss) {
  return compute::MakeError(
      absl::StatusCode::kUnimplemented,
      fmt::format("loss \"{}\" has no second order in this build", loss),
      {"NO_SECOND_ORDER", fmt::format("base.loss.{}", loss), {{"loss", loss}}});
}

absl::Status ViewVector(const wire::HessianRequest& request,
                        HessianQuery& query) {
  if (!request.vector) return Missing("vector", "a tensor");
  const absl::StatusOr<TensorView> vector =
      TensorFromProto(*request.vector, "vector");
  if (!vector.ok()) return vector.status();
  const BatchView& batch = query.base.batch;
  if (vector->data_type != DataTypeOf(batch.logits_type)) {
    return OutOfRange(
        "vector.data_type", NameOf(vector->data_type),
        fmt::format("the logits' {}", NameOf(DataTypeOf(batch.logits_type))));
  }
  if (vector->shape != batch.logits_shape) {
    return OutOfRange(
        "vector.shape", ToString(vector->shape),
        fmt::format("the logits' {}", ToString(batch.logits_shape)));
  }
  query.vector = vector->pieces;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<HessianQuery> HessianQueryFromProto(
    const wire::HessianRequest& request) {
  if (!request.base) return Missing("base", "a batch");
  Unbuilt unbuilt;
  absl::StatusOr<LossQuery> base =
      BaseQueryFromProto(*request.base, LogitsSource::kRequest, unbuilt);
  if (!base.ok()) return InBase(base.status());
  HessianQuery query;
  query.base = *std::move(base);
  const absl::Status status = ViewVector(request, query);
  if (!status.ok()) return status;
  if (!unbuilt.status().ok()) return InBase(unbuilt.status());
  if (!compute::HasHessian(query.base.loss.spec)) {
    return NoSecondOrder(NameOfLoss(request.base->fields.loss()));
  }
  const BatchView& batch = query.base.batch;
  if (!batch.class_axis.classes_last()) {
    MoveClassesLast(batch.class_axis, batch.logits_type, query.vector,
                    query.moved_vector);
  }
  return query;
}

int64_t MemoryBytes(const HessianQuery& query, int threads) {
  // No output of the base is wanted: all that counts is beside it.
  const BatchView& batch = query.base.batch;
  return MemoryBytes(query.base, threads) +
         batch.rows * batch.classes * compute::ElementBytes(batch.logits_type);
}

absl::StatusOr<wire::OutgoingTensor> ProductToProto(const HessianQuery& query,
                                                    int64_t max_message_bytes) {
  using Response = v1::ComputeHessianVectorProductResponse;
  const BatchView& batch = query.base.batch;
  const int64_t elements = batch.rows * batch.classes;
  const int64_t bytes = elements * compute::ElementBytes(batch.logits_type) +
                        ResponseOverheadBytes(batch);
  if (bytes > max_message_bytes) {
    return ResponseTooLarge(bytes, max_message_bytes);
  }
  return AllocateTensor(Response::kProductFieldNumber, batch.logits_shape,
                        DataTypeOf(batch.logits_type), elements);
}

absl::Status HessianErrorToProto(const absl::Status& status) {
  const bool is_vector = compute::DetailsOf(status).field == "vector";
  return is_vector ? status : InBase(status);
}

}  // namespace lossd::rpc
