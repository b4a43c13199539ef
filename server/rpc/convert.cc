#include "server/rpc/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
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

// What a thread keeps of a row (RowScratch): an exponential of 8 bytes or 16, a
// copy of a logit in pieces, and for some losses a pair of terms.
constexpr int64_t kScratchBytesPerClass = 40;
// Where targets are no class indices: one as float64, a copy of it in pieces,
// and a teacher's exponentials.
constexpr int64_t kTargetsScratchBytesPerClass = 32;
// Of capped logits: CappedLogits' four arrays, the logits widened, and for a
// Hessian the vector and its products.
constexpr int64_t kCapScratchBytesPerClass = 64;

absl::Status UnknownEnum(std::string_view field, int value,
                         std::string_view type) {
  return OutOfRange(field, std::to_string(value),
                    fmt::format("a known {}", type));
}

// The sum, or the largest int64 where that is less.
int64_t AddSaturated(int64_t a, int64_t b) {
  int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return std::numeric_limits<int64_t>::max();
}

int64_t ResponseBytes(const LossQuery& query) {
  // Each tensor's bytes are counted by an int64, as the logits' are: float64
  // results of narrower logits are a gradient's, whose logits were received.
  const BatchView& batch = query.batch;
  const WantedOutputs& wanted = query.wanted;
  const int64_t element_bytes = compute::ElementBytes(batch.logits_type);
  const int64_t elements = batch.rows * batch.classes;
  int64_t bytes = ResponseOverheadBytes(batch);
  const auto add = [&](bool is_wanted, int64_t count, int64_t size) {
    if (is_wanted) bytes = AddSaturated(bytes, count * size);
  };
  add(wanted.gradient, elements, compute::ElementBytes(batch.gradient_type));
  add(wanted.probabilities, elements, element_bytes);
  add(wanted.log_probabilities, elements, element_bytes);
  add(wanted.row_losses, batch.rows, element_bytes);
  add(wanted.log_sum_exp, batch.rows, element_bytes);
  add(wanted.predictions, batch.rows, ElementBytes(v1::DATA_TYPE_INT64));
  return bytes;
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

int64_t ScratchBytesPerClass(const LossQuery& query) {
  int64_t bytes = kScratchBytesPerClass;
  if (query.batch.targets_type) bytes += kTargetsScratchBytesPerClass;
  const auto* loss =
      std::get_if<compute::SoftmaxCrossEntropy>(&query.loss.spec);
  if (loss != nullptr && loss->logit_softcap) bytes += kCapScratchBytesPerClass;
  return bytes;
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

absl::StatusOr<LossQuery> LossQueryFromProto(const wire::LossRequest& request,
                                             LogitsSource logits) {
  const absl::StatusOr<WantedOutputs> wanted =
      WantedOutputsFromProto(request.fields);
  if (!wanted.ok()) return wanted.status();
  Unbuilt unbuilt;
  absl::StatusOr<LossQuery> query =
      BaseQueryFromProto(request, logits, unbuilt);
  if (!query.ok()) return query.status();
  if (!unbuilt.status().ok()) return unbuilt.status();
  query->wanted = *wanted;
  return query;
}

absl::StatusOr<LossQuery> BaseQueryFromProto(const wire::LossRequest& request,
                                             LogitsSource logits,
                                             Unbuilt& unbuilt) {
  LossQuery query;
  absl::StatusOr<compute::LossOptions> options =
      LossOptionsFromProto(request.fields);
  if (!options.ok()) return options.status();
  query.options = *options;
  absl::StatusOr<BatchView> batch = BatchFromProto(request, logits);
  if (!batch.ok()) return batch.status();
  query.batch = *std::move(batch);
  absl::StatusOr<OwnedLossSpec> loss =
      LossSpecFromProto(request.fields.loss(), query.batch.classes, unbuilt);
  if (!loss.ok()) return loss.status();
  query.loss = *std::move(loss);
  const absl::Status goes_together = CheckIgnoreIndex(query);
  if (!goes_together.ok()) return goes_together;
  return query;
}

int64_t MemoryBytes(const LossQuery& query, int threads) {
  const BatchView& batch = query.batch;
  const int64_t computing = std::min<int64_t>(batch.rows, threads);
  int64_t bytes =
      AddSaturated(ResponseBytes(query),
                   computing * batch.classes * ScratchBytesPerClass(query));
  if (!batch.class_axis.classes_last()) {
    // The logits moved, and one result at a time.
    const int64_t largest =
        std::max(compute::ElementBytes(batch.logits_type),
                 compute::ElementBytes(batch.gradient_type));
    bytes = AddSaturated(bytes, 2 * batch.rows * batch.classes * largest);
  }
  return bytes;
}

int64_t ResponseOverheadBytes(const BatchView& batch) {
  return kResponseOverheadBytes +
         static_cast<int64_t>(batch.logits_shape.size()) *
             kResponseBytesPerAxis;
}

wire::OutgoingTensor AllocateTensor(int field, Shape shape,
                                    v1::DataType data_type, int64_t elements) {
  return {field,
          data_type,
          {shape.begin(), shape.end()},
          wire::Buffer(elements * ElementBytes(data_type))};
}

absl::StatusOr<compute::LossOutputs> LossOutputsToProto(
    const LossQuery& query, wire::LossResponse& response,
    int64_t max_message_bytes) {
  const int64_t bytes = ResponseBytes(query);
  if (bytes > max_message_bytes) {
    return ResponseTooLarge(bytes, max_message_bytes);
  }
  using Response = v1::ComputeLossResponse;
  const BatchView& batch = query.batch;
  const v1::DataType type = DataTypeOf(batch.logits_type);
  const auto add = [&](bool wanted, int field, Shape shape, v1::DataType type,
                       int64_t elements) -> absl::Span<std::byte> {
    if (!wanted) return {};
    response.tensors.push_back(AllocateTensor(field, shape, type, elements));
    return response.tensors.back().raw.bytes();
  };
  const auto add_logits = [&](bool wanted, int field, v1::DataType type) {
    return add(wanted, field, batch.logits_shape, type,
               batch.rows * batch.classes);
  };
  const auto add_rows = [&](bool wanted, int field, v1::DataType type) {
    return add(wanted, field, batch.rows_shape, type, batch.rows);
  };
  const WantedOutputs& wanted = query.wanted;
  compute::LossOutputs outputs;
  outputs.gradient = add_logits(wanted.gradient, Response::kGradientFieldNumber,
                                DataTypeOf(batch.gradient_type));
  outputs.gradient_type = batch.gradient_type;
  outputs.probabilities = add_logits(wanted.probabilities,
                                     Response::kProbabilitiesFieldNumber, type);
  outputs.log_probabilities = add_logits(
      wanted.log_probabilities, Response::kLogProbabilitiesFieldNumber, type);
  outputs.row_losses =
      add_rows(wanted.row_losses, Response::kRowLossesFieldNumber, type);
  outputs.log_sum_exp =
      add_rows(wanted.log_sum_exp, Response::kLogSumExpFieldNumber, type);
  outputs.predictions =
      add_rows(wanted.predictions, Response::kPredictionsFieldNumber,
               v1::DATA_TYPE_INT64);
  return outputs;
}

void RestoreClassAxis(const ClassAxisLayout& layout,
                      wire::OutgoingTensor& tensor) {
  if (layout.classes_last()) return;
  wire::Buffer moved(tensor.raw.size());
  MoveClassesBack(layout, ElementBytes(tensor.data_type),
                  tensor.raw.bytes().data(), moved.bytes().data());
  tensor.raw = std::move(moved);
}

void RestoreClassAxis(const LossQuery& query, wire::LossResponse& response) {
  using Response = v1::ComputeLossResponse;
  for (wire::OutgoingTensor& tensor : response.tensors) {
    if (tensor.field == Response::kGradientFieldNumber ||
        tensor.field == Response::kProbabilitiesFieldNumber ||
        tensor.field == Response::kLogProbabilitiesFieldNumber) {
      RestoreClassAxis(query.batch.class_axis, tensor);
    }
  }
}

void LossSummaryToProto(const LossQuery& query,
                        const compute::LossSummary& summary,
                        wire::LossResponse& response) {
  v1::ComputeLossResponse& fields = response.fields;
  if (query.wanted.loss && summary.loss) fields.set_loss(*summary.loss);
  // Probabilities as labels name no class that a prediction could meet.
  if (!query.batch.targets_type) {
    fields.set_correct_count(summary.correct_count);
  }
  fields.set_row_count(summary.row_count);
  fields.set_divisor(summary.divisor);
}

}  // namespace lossd::rpc
