#include "client/lossd/convert.h"

#include <bit>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "client/lossd/client.h"

namespace lossd {
namespace {

static_assert(std::endian::native == std::endian::little,
              "Tensor.raw is little-endian");

// Protobuf's own limit, less what the small fields may take.
constexpr int64_t kMaxPayloadBytes =
    std::numeric_limits<int32_t>::max() - 64 * 1024;

template <typename T>
constexpr v1::DataType kDataType = v1::DATA_TYPE_UNSPECIFIED;
template <>
constexpr v1::DataType kDataType<float> = v1::DATA_TYPE_FLOAT32;
template <>
constexpr v1::DataType kDataType<double> = v1::DATA_TYPE_FLOAT64;
template <>
constexpr v1::DataType kDataType<int64_t> = v1::DATA_TYPE_INT64;

absl::Status CheckSize(const char* name, size_t size, int64_t want) {
  if (size == static_cast<size_t>(want)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " has ", size, " elements, want ", want));
}

template <typename T>
absl::Status CheckSizes(const Batch<T>& batch, const LossOutputs<T>& outputs) {
  if (batch.rows < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("rows = ", batch.rows, ", want >= 0"));
  }
  if (batch.classes < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("classes = ", batch.classes, ", want >= 1"));
  }
  int64_t elements = 0;
  int64_t payload_bytes = 0;
  const int64_t element_bytes = sizeof(T);
  const int64_t label_bytes = sizeof(int64_t);
  if (__builtin_mul_overflow(batch.rows, batch.classes, &elements) ||
      __builtin_mul_overflow(elements, element_bytes, &payload_bytes) ||
      batch.rows > kMaxPayloadBytes / label_bytes ||
      payload_bytes > kMaxPayloadBytes - batch.rows * label_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a batch of ", batch.rows, " x ", batch.classes, " ",
                     element_bytes, "-byte logits is larger than the ",
                     kMaxPayloadBytes, " bytes of one message"));
  }
  const struct {
    const char* name;
    size_t size;
    int64_t want;
    bool may_be_empty;
  } checks[] = {
      {"logits", batch.logits.size(), elements, false},
      {"labels", batch.labels.size(), batch.rows, false},
      {"gradient", outputs.gradient.size(), elements, true},
      {"row_losses", outputs.row_losses.size(), batch.rows, true},
      {"log_sum_exp", outputs.log_sum_exp.size(), batch.rows, true},
      {"probabilities", outputs.probabilities.size(), elements, true},
      {"log_probabilities", outputs.log_probabilities.size(), elements, true},
      {"predictions", outputs.predictions.size(), batch.rows, true},
  };
  for (const auto& check : checks) {
    if (check.may_be_empty && check.size == 0) continue;
    absl::Status status = CheckSize(check.name, check.size, check.want);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// Losses go by their names in the contract, so that one that is added there
// needs nothing here.
absl::Status SetLoss(const LossOptions& options, v1::LossSpec* spec) {
  const auto* field = v1::LossSpec::descriptor()->FindFieldByName(options.loss);
  if (field == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("loss = ", options.loss, ", want one of ",
                     absl::StrJoin(LossNames(), ", ")));
  }
  auto* loss = spec->GetReflection()->MutableMessage(spec, field);
  if (!options.ignore_index.has_value()) return absl::OkStatus();

  const auto* ignore_index =
      loss->GetDescriptor()->FindFieldByName("ignore_index");
  if (ignore_index == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        options.loss, " takes no ignore_index, got ", *options.ignore_index));
  }
  loss->GetReflection()->SetInt64(loss, ignore_index, *options.ignore_index);
  return absl::OkStatus();
}

v1::Reduction ReductionToProto(Reduction reduction) {
  switch (reduction) {
    case Reduction::kMean:
      return v1::REDUCTION_MEAN;
    case Reduction::kSum:
      return v1::REDUCTION_SUM;
    case Reduction::kNone:
      return v1::REDUCTION_NONE;
  }
  return v1::REDUCTION_UNSPECIFIED;
}

v1::NonFinitePolicy NonFinitePolicyToProto(NonFinitePolicy policy) {
  switch (policy) {
    case NonFinitePolicy::kReject:
      return v1::NON_FINITE_POLICY_REJECT;
    case NonFinitePolicy::kPropagate:
      return v1::NON_FINITE_POLICY_PROPAGATE;
  }
  return v1::NON_FINITE_POLICY_UNSPECIFIED;
}

template <typename T>
void AddOutputs(const LossOutputs<T>& outputs,
                v1::ComputeLossRequest* request) {
  request->add_outputs(v1::OUTPUT_LOSS);
  const auto add = [request](v1::Output output, bool wanted) {
    if (wanted) request->add_outputs(output);
  };
  add(v1::OUTPUT_GRADIENT, !outputs.gradient.empty());
  add(v1::OUTPUT_ROW_LOSSES, !outputs.row_losses.empty());
  add(v1::OUTPUT_LOG_SUM_EXP, !outputs.log_sum_exp.empty());
  add(v1::OUTPUT_PROBABILITIES, !outputs.probabilities.empty());
  add(v1::OUTPUT_LOG_PROBABILITIES, !outputs.log_probabilities.empty());
  add(v1::OUTPUT_PREDICTIONS, !outputs.predictions.empty());
}

template <typename T>
void SetContents(absl::Span<const T> values, v1::Tensor* tensor) {
  tensor->set_data_type(kDataType<T>);
  tensor->set_raw(values.data(), values.size() * sizeof(T));
}

template <typename T>
absl::Status CopyTensor(const char* name, const v1::Tensor& tensor,
                        absl::Span<T> out) {
  if (out.empty()) return absl::OkStatus();
  const size_t want_bytes = out.size() * sizeof(T);
  if (tensor.data_type() != kDataType<T> || tensor.raw().size() != want_bytes) {
    return absl::InternalError(absl::StrCat(
        "the server answered ", name, " with ", tensor.raw().size(),
        " bytes of ", v1::DataType_Name(tensor.data_type()), ", want ",
        want_bytes, " of ", v1::DataType_Name(kDataType<T>)));
  }
  std::memcpy(out.data(), tensor.raw().data(), want_bytes);
  return absl::OkStatus();
}

}  // namespace

std::vector<std::string> LossNames() {
  const auto* descriptor = v1::LossSpec::descriptor();
  std::vector<std::string> names;
  for (int i = 0; i < descriptor->field_count(); ++i) {
    names.push_back(descriptor->field(i)->name());
  }
  return names;
}

template <typename T>
absl::Status LossRequestToProto(const Batch<T>& batch,
                                const LossOptions& options,
                                const LossOutputs<T>& outputs,
                                v1::ComputeLossRequest* request) {
  absl::Status status = CheckSizes(batch, outputs);
  if (status.ok()) status = SetLoss(options, request->mutable_loss());
  if (!status.ok()) return status;

  request->set_reduction(ReductionToProto(options.reduction));
  if (options.divisor.has_value()) request->set_divisor(*options.divisor);
  request->set_non_finite_policy(
      NonFinitePolicyToProto(options.non_finite_policy));
  AddOutputs(outputs, request);
  request->mutable_labels()->add_shape(batch.rows);
  SetContents(batch.labels, request->mutable_labels());
  request->mutable_logits()->add_shape(batch.rows);
  request->mutable_logits()->add_shape(batch.classes);
  SetContents(batch.logits, request->mutable_logits());
  return absl::OkStatus();
}

template <typename T>
absl::StatusOr<LossSummary> LossSummaryFromProto(
    const v1::ComputeLossResponse& response, const LossOutputs<T>& outputs) {
  absl::Status status;
  status.Update(CopyTensor("gradient", response.gradient(), outputs.gradient));
  status.Update(
      CopyTensor("row_losses", response.row_losses(), outputs.row_losses));
  status.Update(
      CopyTensor("log_sum_exp", response.log_sum_exp(), outputs.log_sum_exp));
  status.Update(CopyTensor("probabilities", response.probabilities(),
                           outputs.probabilities));
  status.Update(CopyTensor("log_probabilities", response.log_probabilities(),
                           outputs.log_probabilities));
  status.Update(
      CopyTensor("predictions", response.predictions(), outputs.predictions));
  if (!status.ok()) return status;

  LossSummary summary;
  if (response.has_loss()) summary.loss = response.loss();
  summary.row_count = response.row_count();
  summary.correct_count = response.correct_count();
  summary.divisor = response.divisor();
  return summary;
}

ServerInfo ServerInfoFromProto(const v1::GetServerInfoResponse& response) {
  ServerInfo info;
  info.version = response.version();
  info.kernel = response.kernel();
  info.compute_threads = response.compute_threads();
  info.max_request_bytes = response.max_request_bytes();
  info.memory_budget_bytes = response.memory_budget_bytes();
  info.losses.assign(response.losses().begin(), response.losses().end());
  for (const int data_type : response.data_types()) {
    const std::string name =
        v1::DataType_Name(static_cast<v1::DataType>(data_type));
    info.data_types.emplace_back(absl::StripPrefix(name, "DATA_TYPE_"));
  }
  return info;
}

template absl::Status LossRequestToProto(const Batch<float>&,
                                         const LossOptions&,
                                         const LossOutputs<float>&,
                                         v1::ComputeLossRequest*);
template absl::Status LossRequestToProto(const Batch<double>&,
                                         const LossOptions&,
                                         const LossOutputs<double>&,
                                         v1::ComputeLossRequest*);
template absl::StatusOr<LossSummary> LossSummaryFromProto(
    const v1::ComputeLossResponse&, const LossOutputs<float>&);
template absl::StatusOr<LossSummary> LossSummaryFromProto(
    const v1::ComputeLossResponse&, const LossOutputs<double>&);

}  // namespace lossd
