#include "client/lossd/convert.h"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/lossd/loss_spec.h"
#include "client/lossd/tensor.h"

namespace lossd {
namespace {

// Protobuf's own limit, less what shapes and lengths may take.
constexpr int64_t kMaxPayloadBytes =
    std::numeric_limits<int32_t>::max() - 64 * 1024;

// Checks rows and classes and, from these alone, whether the batch and
// `other_bytes` can be one message.
template <typename T>
absl::Status CheckCounts(const Batch<T>& batch, int64_t other_bytes) {
  if (batch.rows < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("rows = ", batch.rows, ", want >= 0"));
  }
  if (batch.classes < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("classes = ", batch.classes, ", want >= 1"));
  }
  int64_t elements = 0;
  const bool overflow =
      __builtin_mul_overflow(batch.rows, batch.classes, &elements);
  // None of the products below overflows, after these two comparisons.
  if (!overflow && elements <= kMaxPayloadBytes) {
    const int64_t logits_bytes = elements * int64_t{sizeof(T)};
    const int64_t doubles = static_cast<int64_t>(
        batch.row_weights.size() + batch.upstream_gradient.size());
    const int64_t labels_bytes = batch.targets.empty()
                                     ? batch.rows * int64_t{sizeof(int64_t)}
                                     : logits_bytes;
    if (logits_bytes + labels_bytes + doubles * int64_t{sizeof(double)} +
            other_bytes <=
        kMaxPayloadBytes) {
      return absl::OkStatus();
    }
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("a batch of ", batch.rows, " x ", batch.classes, " ",
                   sizeof(T), "-byte logits is larger than the ",
                   kMaxPayloadBytes, " bytes of one message"));
}

struct SizeCheck {
  const char* name;
  size_t size;
  int64_t want;
  bool may_be_empty = true;
};

absl::Status CheckSizes(std::initializer_list<SizeCheck> checks) {
  for (const SizeCheck& check : checks) {
    if (check.may_be_empty && check.size == 0) continue;
    absl::Status status = CheckSize(check.name, check.size, check.want);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status CheckBatch(const Batch<T>& batch) {
  const int64_t elements = batch.rows * batch.classes;
  if (!batch.labels.empty() && !batch.targets.empty()) {
    return absl::InvalidArgumentError(
        "labels and targets were given, want one of them");
  }
  if (batch.labels.empty() && batch.targets.empty() && batch.rows > 0) {
    return absl::InvalidArgumentError(
        "neither labels nor targets were given, want one of them");
  }
  const bool one_upstream = batch.upstream_gradient.size() == 1;
  return CheckSizes({{"logits", batch.logits.size(), elements, false},
                     {"labels", batch.labels.size(), batch.rows},
                     {"targets", batch.targets.size(), elements},
                     {"row_weights", batch.row_weights.size(), batch.rows},
                     {"upstream_gradient", batch.upstream_gradient.size(),
                      one_upstream ? 1 : batch.rows}});
}

template <typename T>
absl::Status CheckOutputs(const Batch<T>& batch,
                          const LossOutputs<T>& outputs) {
  const int64_t elements = batch.rows * batch.classes;
  return CheckSizes(
      {{"gradient", outputs.gradient.size(), elements},
       {"row_losses", outputs.row_losses.size(), batch.rows},
       {"log_sum_exp", outputs.log_sum_exp.size(), batch.rows},
       {"probabilities", outputs.probabilities.size(), elements},
       {"log_probabilities", outputs.log_probabilities.size(), elements},
       {"predictions", outputs.predictions.size(), batch.rows}});
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

void DoublesToProto(absl::Span<const double> values, v1::Tensor* tensor) {
  TensorToProto(values, {static_cast<int64_t>(values.size())}, tensor);
}

// Everything but `outputs`; `other_bytes` go into the same message. A batch of
// no rows does not say what its labels are: the loss does.
template <typename T>
absl::Status BatchToProto(const Batch<T>& batch, const LossOptions& options,
                          int64_t other_bytes,
                          v1::ComputeLossRequest* request) {
  absl::Status status =
      LossSpecToProto(options.loss, batch.classes, request->mutable_loss());
  status.Update(CheckCounts(
      batch, other_bytes + static_cast<int64_t>(request->ByteSizeLong())));
  if (status.ok()) status = CheckBatch(batch);
  if (!status.ok()) return status;

  request->set_reduction(ReductionToProto(options.reduction));
  if (options.divisor.has_value()) request->set_divisor(*options.divisor);
  request->set_non_finite_policy(
      NonFinitePolicyToProto(options.non_finite_policy));
  if (!batch.row_weights.empty()) {
    DoublesToProto(batch.row_weights, request->mutable_row_weights());
  }
  if (!batch.upstream_gradient.empty()) {
    DoublesToProto(batch.upstream_gradient,
                   request->mutable_upstream_gradient());
  }
  const bool has_targets =
      batch.rows == 0 ? LabelKindOf(options.loss) == LabelKind::kTargets
                      : !batch.targets.empty();
  if (has_targets) {
    TensorToProto(batch.targets, {batch.rows, batch.classes},
                  request->mutable_labels());
  } else {
    TensorToProto(batch.labels, {batch.rows}, request->mutable_labels());
  }
  TensorToProto(batch.logits, {batch.rows, batch.classes},
                request->mutable_logits());
  return absl::OkStatus();
}

}  // namespace

template <typename T>
absl::Status LossRequestToProto(const Batch<T>& batch,
                                const LossOptions& options,
                                const LossOutputs<T>& outputs,
                                v1::ComputeLossRequest* request) {
  absl::Status status = BatchToProto(batch, options, 0, request);
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
  absl::Status status =
      BatchToProto(batch, options, vector_bytes, request->mutable_base());
  if (!status.ok()) return status;
  const int64_t elements = batch.rows * batch.classes;
  status = CheckSizes({{"vector", vector.size(), elements, false},
                       {"product", product.size(), elements, false}});
  if (!status.ok()) return status;
  TensorToProto(vector, {batch.rows, batch.classes}, request->mutable_vector());
  return absl::OkStatus();
}

template <typename T>
absl::StatusOr<LossSummary> LossSummaryFromProto(
    const v1::ComputeLossResponse& response, const LossOutputs<T>& outputs) {
  absl::Status status;
  status.Update(
      TensorFromProto("gradient", response.gradient(), outputs.gradient));
  status.Update(
      TensorFromProto("row_losses", response.row_losses(), outputs.row_losses));
  status.Update(TensorFromProto("log_sum_exp", response.log_sum_exp(),
                                outputs.log_sum_exp));
  status.Update(TensorFromProto("probabilities", response.probabilities(),
                                outputs.probabilities));
  status.Update(TensorFromProto("log_probabilities",
                                response.log_probabilities(),
                                outputs.log_probabilities));
  status.Update(TensorFromProto("predictions", response.predictions(),
                                outputs.predictions));
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
template absl::Status HessianRequestToProto(
    const Batch<float>&, const LossOptions&, absl::Span<const float>,
    absl::Span<const float>, v1::ComputeHessianVectorProductRequest*);
template absl::Status HessianRequestToProto(
    const Batch<double>&, const LossOptions&, absl::Span<const double>,
    absl::Span<const double>, v1::ComputeHessianVectorProductRequest*);
template absl::StatusOr<LossSummary> LossSummaryFromProto(
    const v1::ComputeLossResponse&, const LossOutputs<float>&);
template absl::StatusOr<LossSummary> LossSummaryFromProto(
    const v1::ComputeLossResponse&, const LossOutputs<double>&);

}  // namespace lossd
