#include "client/examples/iris_newton/weighted_loss.h"

namespace lossd::iris {

Batch<double> WeightedLoss::BatchOf(absl::Span<const double> logits) const {
  return {.rows = model_.rows(),
          .classes = model_.classes(),
          .logits = logits,
          .labels = dataset_.labels};
}

absl::StatusOr<double> WeightedLoss::Value(absl::Span<const double> parameters,
                                           absl::Span<double> gradient) {
  const std::vector<double> logits = model_.Logits(parameters);
  ++calls_;
  const auto summary = client_.ComputeLoss<double>(
      BatchOf(logits), options_, CallOptions(absl::Seconds(seconds_per_call_)),
      {.gradient = absl::MakeSpan(of_logits_)});
  if (!summary.ok()) return summary.status();
  correct_count_ = summary->correct_count;
  model_.ParameterGradient(of_logits_, gradient);
  return *summary->loss;
}

absl::Status WeightedLoss::HessianProduct(absl::Span<const double> parameters,
                                          absl::Span<const double> vector,
                                          absl::Span<double> product) {
  const std::vector<double> logits = model_.Logits(parameters);
  const std::vector<double> direction = model_.Logits(vector);
  ++calls_;
  absl::Status status = client_.ComputeHessianVectorProduct<double>(
      BatchOf(logits), options_, direction,
      CallOptions(absl::Seconds(seconds_per_call_)),
      absl::MakeSpan(of_logits_));
  if (status.ok()) model_.ParameterGradient(of_logits_, product);
  return status;
}

}  // namespace lossd::iris
