#include "client/lossd/convert.h"

#include <cstdint>
#include <string>
#include <type_traits>

#include "absl/strings/strip.h"
#include "client/lossd/batch_request.h"
#include "client/lossd/tensor.h"
#include "client/lossd/wire.h"

namespace lossd {
namespace {

template <typename T, typename G>
absl::Status CheckOutputs(const Batch<T>& batch,
                          const LossOutputs<T, G>& outputs) {
  const int64_t elements = batch.rows * batch.classes;
  return CheckSizes(
      {{"gradient", outputs.gradient.size(), elements},
       {"row_losses", outputs.row_losses.size(), batch.rows},
       {"log_sum_exp", outputs.log_sum_exp.size(), batch.rows},
       {"probabilities", outputs.probabilities.size(), elements},
       {"log_probabilities", outputs.log_probabilities.size(), elements},
       {"predictions", outputs.predictions.size(), batch.rows}});
}

template <typename T, typename G>
void AddOutputs(const LossOutputs<T, G>& outputs,
                v1::ComputeLossRequest* request) {
  request->add_outputs(v1::OUTPUT_LOSS);
  const auto add = [request](v1::Output output, bool wanted) {
    if (wanted) request->add_outputs(output);
  };
  add(v1::OUTPUT_GRADIENT, !outputs.gradient.empty());
  if (!std::is_same_v<T, G> && !outputs.gradient.empty()) {
    request->set_gradient_data_type(kDataType<G>);
  }
  add(v1::OUTPUT_ROW_LOSSES, !outputs.row_losses.empty());
  add(v1::OUTPUT_LOG_SUM_EXP, !outputs.log_sum_exp.empty());
  add(v1::OUTPUT_PROBABILITIES, !outputs.probabilities.empty());
  add(v1::OUTPUT_LOG_PROBABILITIES, !outputs.log_probabilities.empty());
  add(v1::OUTPUT_PREDICTIONS, !outputs.predictions.empty());
}

}  // namespace

template <typename T, typename G>
absl::Status LossRequestToProto(const Batch<T>& batch,
                                const LossOptions& options,
                                const LossOutputs<T, G>& outputs,
                                const MessageNeeds& needs,
                                v1::ComputeLossRequest* request) {
  absl::Status status = BatchToProto(batch, options, needs, request);
  if (status.ok()) status = CheckOutputs(batch, outputs);
  if (!status.ok()) return status;
  AddOutputs(outputs, request);
  return absl::OkStatus();
}

template <typename T>
absl::Status HessianRequestToProto(
    const Batch<T>& batch, const LossOptions& options,
    absl::Span<const T> vector, absl::Span<const T> product,
    v1::ComputeHessianVectorProductRequest* request) {
  const auto vector_bytes = static_cast<int64_t>(vector.size() * sizeof(T));
  absl::Status status = BatchToProto(
      batch, options, {.other_bytes = vector_bytes}, request->mutable_base());
  if (!status.ok()) return status;
  const int64_t elements = batch.rows * batch.classes;
  status = CheckSizes({{"vector", vector.size(), elements, false},
                       {"product", product.size(), elements, false}});
  if (!status.ok()) return status;
  TensorHeadToProto<T>(LogitsShape(batch), request->mutable_vector());
  return absl::OkStatus();
}

template <typename T, typename G>
std::vector<TensorField> SummaryFields(const LossOutputs<T, G>& outputs) {
  using Response = v1::ComputeLossResponse;
  return {FieldFor("row_losses", Response::kRowLossesFieldNumber,
                   outputs.row_losses),
          FieldFor("log_sum_exp", Response::kLogSumExpFieldNumber,
                   outputs.log_sum_exp),
          FieldFor("probabilities", Response::kProbabilitiesFieldNumber,
                   outputs.probabilities),
          FieldFor("log_probabilities", Response::kLogProbabilitiesFieldNumber,
                   outputs.log_probabilities),
          FieldFor("predictions", Response::kPredictionsFieldNumber,
                   outputs.predictions)};
}

LossSummary LossSummaryFromProto(const v1::ComputeLossResponse& response) {
  LossSummary summary;
  if (response.has_loss()) summary.loss = response.loss();
  summary.row_count = response.row_count();
  summary.correct_count = response.correct_count();
  summary.divisor = response.divisor();
  return summary;
}

template <typename T, typename G>
absl::StatusOr<LossSummary> LossSummaryFromAnswer(
    const grpc::ByteBuffer& answer, const LossOutputs<T, G>& outputs) {
  using Response = v1::ComputeLossResponse;
  std::vector<TensorField> fields = SummaryFields(outputs);
  fields.push_back(
      FieldFor("gradient", Response::kGradientFieldNumber, outputs.gradient));
  Response response;
  const absl::Status status = ReadAnswer(answer, fields, &response);
  if (!status.ok()) return status;
  return LossSummaryFromProto(response);
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
                                         const MessageNeeds&,
                                         v1::ComputeLossRequest*);
template absl::Status LossRequestToProto(const Batch<float>&,
                                         const LossOptions&,
                                         const LossOutputs<float, double>&,
                                         const MessageNeeds&,
                                         v1::ComputeLossRequest*);
template absl::Status LossRequestToProto(const Batch<double>&,
                                         const LossOptions&,
                                         const LossOutputs<double>&,
                                         const MessageNeeds&,
                                         v1::ComputeLossRequest*);
template absl::Status LossRequestToProto(const Batch<double>&,
                                         const LossOptions&,
                                         const LossOutputs<double, float>&,
                                         const MessageNeeds&,
                                         v1::ComputeLossRequest*);
template absl::Status HessianRequestToProto(
    const Batch<float>&, const LossOptions&, absl::Span<const float>,
    absl::Span<const float>, v1::ComputeHessianVectorProductRequest*);
template absl::Status HessianRequestToProto(
    const Batch<double>&, const LossOptions&, absl::Span<const double>,
    absl::Span<const double>, v1::ComputeHessianVectorProductRequest*);
template std::vector<TensorField> SummaryFields(const LossOutputs<float>&);
template std::vector<TensorField> SummaryFields(
    const LossOutputs<float, double>&);
template std::vector<TensorField> SummaryFields(const LossOutputs<double>&);
template std::vector<TensorField> SummaryFields(
    const LossOutputs<double, float>&);
template absl::StatusOr<LossSummary> LossSummaryFromAnswer(
    const grpc::ByteBuffer&, const LossOutputs<float>&);
template absl::StatusOr<LossSummary> LossSummaryFromAnswer(
    const grpc::ByteBuffer&, const LossOutputs<float, double>&);
template absl::StatusOr<LossSummary> LossSummaryFromAnswer(
    const grpc::ByteBuffer&, const LossOutputs<double>&);
template absl::StatusOr<LossSummary> LossSummaryFromAnswer(
    const grpc::ByteBuffer&, const LossOutputs<double, float>&);

}  // namespace lossd
