#include "client/lossd/batch_request.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "client/lossd/loss_spec.h"
#include "client/lossd/tensor.h"

namespace lossd {
namespace {

// The error of a batch that `is` larger than messages hold.
template <typename T>
absl::Status TooLarge(const Batch<T>& batch, const char* is) {
  return absl::ResourceExhaustedError(
      absl::StrCat("a batch of ", batch.rows, " x ", batch.classes, " ",
                   sizeof(T), "-byte logits ", is, " larger than the ",
                   kMaxMessageBytes, " bytes of one message"));
}

// Checks rows, classes and inner and, from these alone, that their product is
// of this world.
template <typename T>
absl::Status CheckCounts(const Batch<T>& batch) {
  if (batch.rows < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("rows = ", batch.rows, ", want >= 0"));
  }
  if (batch.classes < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("classes = ", batch.classes, ", want >= 1"));
  }
  if (batch.inner < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("inner = ", batch.inner, ", want >= 1"));
  }
  if (batch.rows % batch.inner != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "rows = ", batch.rows, ", want a multiple of inner = ", batch.inner));
  }
  int64_t elements = 0;
  if (__builtin_mul_overflow(batch.rows, batch.classes, &elements) ||
      elements > std::numeric_limits<int64_t>::max() / 32 ||
      batch.rows > std::numeric_limits<int64_t>::max() / 32) {
    return TooLarge(batch, "is");
  }
  return absl::OkStatus();
}

// Checks that messages can hold what `needs` says. REQUIRES: CheckCounts.
template <typename T>
absl::Status CheckMessages(const Batch<T>& batch, const MessageNeeds& needs,
                           int64_t head_bytes) {
  const int64_t row_bytes =
      batch.rows == 0 ? 0 : batch.classes * int64_t{sizeof(T)};
  const int64_t logits_bytes = batch.rows * row_bytes;
  const int64_t doubles = static_cast<int64_t>(batch.row_weights.size() +
                                               batch.upstream_gradient.size());
  const int64_t labels_bytes = batch.targets.empty()
                                   ? batch.rows * int64_t{sizeof(int64_t)}
                                   : logits_bytes;
  const int64_t header_bytes = labels_bytes +
                               doubles * int64_t{sizeof(double)} + head_bytes +
                               needs.other_bytes;
  if (!needs.one_row) {
    return header_bytes + logits_bytes <= kMaxMessageBytes
               ? absl::OkStatus()
               : TooLarge(batch, "is");
  }
  if (row_bytes > kMaxMessageBytes) return TooLarge(batch, "has a row that is");
  if (header_bytes > kMaxMessageBytes) {
    return TooLarge(batch, "has labels and weights that are");
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

void DoublesToProto(absl::Span<const double> values, v1::Tensor* tensor) {
  TensorToProto(values, {static_cast<int64_t>(values.size())}, tensor);
}

template <typename T>
std::vector<int64_t> RowsShape(const Batch<T>& batch) {
  if (batch.inner == 1) return {batch.rows};
  return {batch.rows / batch.inner, batch.inner};
}

}  // namespace

template <typename T>
std::vector<int64_t> LogitsShape(const Batch<T>& batch) {
  std::vector<int64_t> shape = RowsShape(batch);
  shape.insert(shape.begin() + 1, batch.classes);
  return shape;
}

template <typename T>
absl::Status BatchToProto(const Batch<T>& batch, const LossOptions& options,
                          const MessageNeeds& needs,
                          v1::ComputeLossRequest* request) {
  absl::Status status =
      LossSpecToProto(options.loss, batch.classes, request->mutable_loss());
  status.Update(CheckCounts(batch));
  if (status.ok()) {
    status = CheckMessages(batch, needs,
                           static_cast<int64_t>(request->ByteSizeLong()));
  }
  if (status.ok()) status = CheckBatch(batch);
  if (!status.ok()) return status;

  request->set_reduction(ReductionToProto(options.reduction));
  if (options.divisor.has_value()) request->set_divisor(*options.divisor);
  if (batch.inner != 1) request->set_class_axis(1);
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
    TensorToProto<T>(batch.targets, LogitsShape(batch),
                     request->mutable_labels());
  } else {
    TensorToProto<int64_t>(batch.labels, RowsShape(batch),
                           request->mutable_labels());
  }
  TensorHeadToProto<T>(LogitsShape(batch), request->mutable_logits());
  return absl::OkStatus();
}

template absl::Status BatchToProto(const Batch<float>&, const LossOptions&,
                                   const MessageNeeds&,
                                   v1::ComputeLossRequest*);
template absl::Status BatchToProto(const Batch<double>&, const LossOptions&,
                                   const MessageNeeds&,
                                   v1::ComputeLossRequest*);
template std::vector<int64_t> LogitsShape(const Batch<float>&);
template std::vector<int64_t> LogitsShape(const Batch<double>&);

}  // namespace lossd
