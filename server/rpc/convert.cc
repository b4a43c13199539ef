#include "server/rpc/convert.h"

#include <fmt/format.h>

#include <string>

#include "server/rpc/errors.h"
#include "server/rpc/loss_spec.h"

namespace lossd::rpc {
namespace {

// Room in a response for everything beside the tensors' bytes: numbers, tags,
// lengths and shapes, of which there are one per tensor, 10 bytes per axis.
constexpr int64_t kResponseOverheadBytes = 1024;
constexpr int64_t kResponseBytesPerAxis = 6 * 10;

absl::Status UnknownEnum(std::string_view field, int value,
                         std::string_view type) {
  return OutOfRange(field, std::to_string(value),
                    fmt::format("a known {}", type));
}

// Gives `tensor` a shape, a type and `elements` of room; returns the room.
absl::Span<std::byte> AllocateTensor(Shape shape, v1::DataType data_type,
                                     int64_t elements, v1::Tensor& tensor) {
  tensor.set_data_type(data_type);
  tensor.mutable_shape()->Add(shape.begin(), shape.end());
  std::string& raw = *tensor.mutable_raw();
  raw.resize(elements * ElementBytes(data_type));
  return {reinterpret_cast<std::byte*>(raw.data()), raw.size()};
}

absl::Status CheckResponseSize(const LossQuery& query, int64_t max_bytes) {
  // No sum overflows: rows * classes elements were received, in bytes counted
  // by an int64, as were the labels.
  const BatchView& batch = query.batch;
  const WantedOutputs& wanted = query.wanted;
  const int64_t element_bytes = compute::ElementBytes(batch.logits_type);
  int64_t bytes =
      kResponseOverheadBytes +
      static_cast<int64_t>(batch.logits_shape.size()) * kResponseBytesPerAxis;
  if (wanted.gradient) {
    bytes +=
        batch.rows * batch.classes * compute::ElementBytes(batch.gradient_type);
  }
  if (wanted.row_losses) bytes += batch.rows * element_bytes;
  if (wanted.log_sum_exp) bytes += batch.rows * element_bytes;
  if (wanted.predictions)
    bytes += batch.rows * ElementBytes(v1::DATA_TYPE_INT64);
  if (bytes <= max_bytes) return absl::OkStatus();
  return ResponseTooLarge(bytes, max_bytes);
}

}  // namespace

absl::StatusOr<compute::LossOptions> LossOptionsFromProto(
    const v1::ComputeLossRequest& request) {
  compute::LossOptions options;
  switch (request.reduction()) {
    case v1::REDUCTION_UNSPECIFIED:
    case v1::REDUCTION_MEAN:
      options.reduction = compute::Reduction::kMean;
      break;
    case v1::REDUCTION_SUM:
      options.reduction = compute::Reduction::kSum;
      break;
    case v1::REDUCTION_NONE:
      options.reduction = compute::Reduction::kNone;
      break;
    case v1::Reduction_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::Reduction_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  if (!v1::Reduction_IsValid(request.reduction())) {
    return UnknownEnum("reduction", request.reduction(), "Reduction");
  }
  switch (request.non_finite_policy()) {
    case v1::NON_FINITE_POLICY_UNSPECIFIED:
    case v1::NON_FINITE_POLICY_REJECT:
      options.non_finite_policy = compute::NonFinitePolicy::kReject;
      break;
    case v1::NON_FINITE_POLICY_PROPAGATE:
      options.non_finite_policy = compute::NonFinitePolicy::kPropagate;
      break;
    case v1::NonFinitePolicy_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::NonFinitePolicy_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  if (!v1::NonFinitePolicy_IsValid(request.non_finite_policy())) {
    return UnknownEnum("non_finite_policy", request.non_finite_policy(),
                       "NonFinitePolicy");
  }
  if (request.has_divisor()) options.divisor = request.divisor();
  const absl::Status status = compute::CheckLossOptions(options);
  if (!status.ok()) return status;
  return options;
}

absl::StatusOr<WantedOutputs> WantedOutputsFromProto(
    const v1::ComputeLossRequest& request, Unbuilt& unbuilt) {
  WantedOutputs wanted;
  if (request.outputs().empty()) {
    wanted.loss = wanted.gradient = true;
    return wanted;
  }
  for (int i = 0; i < request.outputs_size(); ++i) {
    const std::string field = fmt::format("outputs[{}]", i);
    const v1::Output output = request.outputs(i);
    switch (output) {
      case v1::OUTPUT_LOSS:
        wanted.loss = true;
        continue;
      case v1::OUTPUT_GRADIENT:
        wanted.gradient = true;
        continue;
      case v1::OUTPUT_ROW_LOSSES:
        wanted.row_losses = true;
        continue;
      case v1::OUTPUT_LOG_SUM_EXP:
        wanted.log_sum_exp = true;
        continue;
      case v1::OUTPUT_PREDICTIONS:
        wanted.predictions = true;
        continue;
      case v1::OUTPUT_PROBABILITIES:
      case v1::OUTPUT_LOG_PROBABILITIES:
        unbuilt.Note(fmt::format("output {}", v1::Output_Name(output)), field);
        continue;
      case v1::OUTPUT_UNSPECIFIED:
        return OutOfRange(field, "OUTPUT_UNSPECIFIED", "an output");
      case v1::Output_INT_MIN_SENTINEL_DO_NOT_USE_:
      case v1::Output_INT_MAX_SENTINEL_DO_NOT_USE_:
        break;
    }
    return UnknownEnum(field, output, "Output");
  }
  return wanted;
}

absl::StatusOr<LossQuery> LossQueryFromProto(
    const v1::ComputeLossRequest& request) {
  LossQuery query;
  Unbuilt unbuilt;
  absl::StatusOr<compute::LossOptions> options = LossOptionsFromProto(request);
  if (!options.ok()) return options.status();
  query.options = *options;
  absl::StatusOr<WantedOutputs> wanted =
      WantedOutputsFromProto(request, unbuilt);
  if (!wanted.ok()) return wanted.status();
  query.wanted = *wanted;
  absl::StatusOr<BatchView> batch = BatchFromProto(request, unbuilt);
  if (!batch.ok()) return batch.status();
  query.batch = *batch;
  absl::StatusOr<compute::LossSpec> spec =
      LossSpecFromProto(request.loss(), batch->classes, unbuilt);
  if (!spec.ok()) return spec.status();
  query.spec = *spec;
  if (!unbuilt.status().ok()) return unbuilt.status();
  return query;
}

absl::StatusOr<compute::LossOutputs> LossOutputsToProto(
    const LossQuery& query, v1::ComputeLossResponse& response,
    int64_t max_message_bytes) {
  const absl::Status fits = CheckResponseSize(query, max_message_bytes);
  if (!fits.ok()) return fits;
  const BatchView& batch = query.batch;
  const v1::DataType type = DataTypeOf(batch.logits_type);
  compute::LossOutputs outputs;
  if (query.wanted.gradient) {
    outputs.gradient = AllocateTensor(
        batch.logits_shape, DataTypeOf(batch.gradient_type),
        batch.rows * batch.classes, *response.mutable_gradient());
    outputs.gradient_type = batch.gradient_type;
  }
  if (query.wanted.row_losses) {
    outputs.row_losses = AllocateTensor(batch.labels_shape, type, batch.rows,
                                        *response.mutable_row_losses());
  }
  if (query.wanted.log_sum_exp) {
    outputs.log_sum_exp = AllocateTensor(batch.labels_shape, type, batch.rows,
                                         *response.mutable_log_sum_exp());
  }
  if (query.wanted.predictions) {
    outputs.predictions =
        AllocateTensor(batch.labels_shape, v1::DATA_TYPE_INT64, batch.rows,
                       *response.mutable_predictions());
  }
  return outputs;
}

void LossSummaryToProto(const LossQuery& query,
                        const compute::LossSummary& summary,
                        v1::ComputeLossResponse& response) {
  if (query.wanted.loss && summary.loss) response.set_loss(*summary.loss);
  response.set_correct_count(summary.correct_count);
  response.set_row_count(summary.row_count);
  response.set_divisor(summary.divisor);
}

}  // namespace lossd::rpc
