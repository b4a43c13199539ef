#include "server/rpc/convert.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <variant>

#include "server/rpc/class_axis.h"
#include "server/rpc/errors.h"

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

absl::Status CheckResponseSize(const LossQuery& query, int64_t max_bytes) {
  // No sum overflows: rows * classes elements were received, in bytes counted
  // by an int64, as were the labels.
  const BatchView& batch = query.batch;
  const WantedOutputs& wanted = query.wanted;
  const int64_t element_bytes = compute::ElementBytes(batch.logits_type);
  int64_t bytes = ResponseOverheadBytes(batch);
  const int64_t elements = batch.rows * batch.classes;
  if (wanted.gradient) {
    bytes += elements * compute::ElementBytes(batch.gradient_type);
  }
  if (wanted.probabilities) bytes += elements * element_bytes;
  if (wanted.log_probabilities) bytes += elements * element_bytes;
  if (wanted.row_losses) bytes += batch.rows * element_bytes;
  if (wanted.log_sum_exp) bytes += batch.rows * element_bytes;
  if (wanted.predictions) {
    bytes += batch.rows * ElementBytes(v1::DATA_TYPE_INT64);
  }
  if (bytes <= max_bytes) return absl::OkStatus();
  return ResponseTooLarge(bytes, max_bytes);
}

// Rows are ignored by their class index, and probabilities have none.
absl::Status CheckIgnoreIndex(const LossQuery& query) {
  const auto* loss =
      std::get_if<compute::SoftmaxCrossEntropy>(&query.loss.spec);
  if (!query.batch.targets_type || loss == nullptr || !loss->ignore_index) {
    return absl::OkStatus();
  }
  constexpr char kField[] = "loss.softmax_cross_entropy.ignore_index";
  const std::string value = std::to_string(*loss->ignore_index);
  return Invalid("IGNORE_INDEX_WITH_PROBABILITIES", kField,
                 fmt::format("{} = {}, want none: it is for class indices and "
                             "the labels are probabilities",
                             kField, value),
                 {{"ignore_index", value}});
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
    const v1::ComputeLossRequest& request) {
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
        wanted.probabilities = true;
        continue;
      case v1::OUTPUT_LOG_PROBABILITIES:
        wanted.log_probabilities = true;
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
  const absl::StatusOr<WantedOutputs> wanted = WantedOutputsFromProto(request);
  if (!wanted.ok()) return wanted.status();
  Unbuilt unbuilt;
  absl::StatusOr<LossQuery> query = BaseQueryFromProto(request, unbuilt);
  if (!query.ok()) return query.status();
  if (!unbuilt.status().ok()) return unbuilt.status();
  query->wanted = *wanted;
  return query;
}

absl::StatusOr<LossQuery> BaseQueryFromProto(
    const v1::ComputeLossRequest& request, Unbuilt& unbuilt) {
  LossQuery query;
  absl::StatusOr<compute::LossOptions> options = LossOptionsFromProto(request);
  if (!options.ok()) return options.status();
  query.options = *options;
  absl::StatusOr<BatchView> batch = BatchFromProto(request);
  if (!batch.ok()) return batch.status();
  query.batch = *std::move(batch);
  absl::StatusOr<OwnedLossSpec> loss =
      LossSpecFromProto(request.loss(), query.batch.classes, unbuilt);
  if (!loss.ok()) return loss.status();
  query.loss = *std::move(loss);
  const absl::Status goes_together = CheckIgnoreIndex(query);
  if (!goes_together.ok()) return goes_together;
  return query;
}

int64_t ResponseOverheadBytes(const BatchView& batch) {
  return kResponseOverheadBytes +
         static_cast<int64_t>(batch.logits_shape.size()) *
             kResponseBytesPerAxis;
}

absl::Span<std::byte> AllocateTensor(Shape shape, v1::DataType data_type,
                                     int64_t elements, v1::Tensor& tensor) {
  tensor.set_data_type(data_type);
  tensor.mutable_shape()->Add(shape.begin(), shape.end());
  std::string& raw = *tensor.mutable_raw();
  raw.resize(elements * ElementBytes(data_type));
  return {reinterpret_cast<std::byte*>(raw.data()), raw.size()};
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
  if (query.wanted.probabilities) {
    outputs.probabilities =
        AllocateTensor(batch.logits_shape, type, batch.rows * batch.classes,
                       *response.mutable_probabilities());
  }
  if (query.wanted.log_probabilities) {
    outputs.log_probabilities =
        AllocateTensor(batch.logits_shape, type, batch.rows * batch.classes,
                       *response.mutable_log_probabilities());
  }
  if (query.wanted.row_losses) {
    outputs.row_losses = AllocateTensor(batch.rows_shape, type, batch.rows,
                                        *response.mutable_row_losses());
  }
  if (query.wanted.log_sum_exp) {
    outputs.log_sum_exp = AllocateTensor(batch.rows_shape, type, batch.rows,
                                         *response.mutable_log_sum_exp());
  }
  if (query.wanted.predictions) {
    outputs.predictions =
        AllocateTensor(batch.rows_shape, v1::DATA_TYPE_INT64, batch.rows,
                       *response.mutable_predictions());
  }
  return outputs;
}

void RestoreClassAxis(const ClassAxisLayout& layout, v1::Tensor& tensor) {
  if (layout.classes_last()) return;
  std::string moved(tensor.raw().size(), '\0');
  MoveClassesBack(layout, ElementBytes(tensor.data_type()),
                  BytesOf(tensor.raw().data(), tensor.raw().size()).data(),
                  reinterpret_cast<std::byte*>(moved.data()));
  *tensor.mutable_raw() = std::move(moved);
}

void RestoreClassAxis(const LossQuery& query,
                      v1::ComputeLossResponse& response) {
  const ClassAxisLayout& layout = query.batch.class_axis;
  if (layout.classes_last()) return;
  if (response.has_gradient()) {
    RestoreClassAxis(layout, *response.mutable_gradient());
  }
  if (response.has_probabilities()) {
    RestoreClassAxis(layout, *response.mutable_probabilities());
  }
  if (response.has_log_probabilities()) {
    RestoreClassAxis(layout, *response.mutable_log_probabilities());
  }
}

void LossSummaryToProto(const LossQuery& query,
                        const compute::LossSummary& summary,
                        v1::ComputeLossResponse& response) {
  if (query.wanted.loss && summary.loss) response.set_loss(*summary.loss);
  // Probabilities as labels name no class that a prediction could meet.
  if (!query.batch.targets_type) {
    response.set_correct_count(summary.correct_count);
  }
  response.set_row_count(summary.row_count);
  response.set_divisor(summary.divisor);
}

}  // namespace lossd::rpc
