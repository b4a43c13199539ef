#include "client/lossd/loss_spec.h"

#include "client/lossd/tensor.h"

namespace lossd {
namespace {

// What the losses over class indices have in common.
template <typename Loss, typename Proto>
absl::Status FillClassOptions(const Loss& loss, int64_t classes, Proto* proto) {
  if (loss.ignore_index.has_value()) {
    proto->set_ignore_index(*loss.ignore_index);
  }
  if (loss.class_weights.empty()) return absl::OkStatus();
  TensorToProto(loss.class_weights, {classes}, proto->mutable_class_weights());
  return CheckSize("class_weights", loss.class_weights.size(), classes);
}

absl::Status Fill(const SoftmaxCrossEntropy& loss, int64_t classes,
                  v1::LossSpec* spec) {
  auto* proto = spec->mutable_softmax_cross_entropy();
  proto->set_label_smoothing(loss.label_smoothing);
  proto->set_z_loss(loss.z_loss);
  if (loss.logit_scale.has_value()) proto->set_logit_scale(*loss.logit_scale);
  if (loss.logit_softcap.has_value()) {
    proto->set_logit_softcap(*loss.logit_softcap);
  }
  return FillClassOptions(loss, classes, proto);
}

absl::Status Fill(const SigmoidCrossEntropy& loss, int64_t classes,
                  v1::LossSpec* spec) {
  auto* proto = spec->mutable_sigmoid_cross_entropy();
  proto->set_label_smoothing(loss.label_smoothing);
  if (loss.positive_weights.empty()) return absl::OkStatus();
  TensorToProto(loss.positive_weights, {classes},
                proto->mutable_positive_weights());
  return CheckSize("positive_weights", loss.positive_weights.size(), classes);
}

absl::Status Fill(const NegativeLogLikelihood& loss, int64_t classes,
                  v1::LossSpec* spec) {
  return FillClassOptions(loss, classes,
                          spec->mutable_negative_log_likelihood());
}

absl::Status Fill(const KlDivergence& loss, int64_t, v1::LossSpec* spec) {
  auto* proto = spec->mutable_kl_divergence();
  proto->set_temperature(loss.temperature);
  proto->set_targets_are_logits(loss.targets_are_logits);
  return absl::OkStatus();
}

absl::Status Fill(const SoftmaxFocal& loss, int64_t classes,
                  v1::LossSpec* spec) {
  auto* proto = spec->mutable_softmax_focal();
  proto->set_gamma(loss.gamma);
  return FillClassOptions(loss, classes, proto);
}

absl::Status Fill(const SigmoidFocal& loss, int64_t, v1::LossSpec* spec) {
  auto* proto = spec->mutable_sigmoid_focal();
  proto->set_gamma(loss.gamma);
  if (loss.alpha.has_value()) proto->set_alpha(*loss.alpha);
  return absl::OkStatus();
}

absl::Status Fill(const MulticlassHinge& loss, int64_t, v1::LossSpec* spec) {
  auto* proto = spec->mutable_multiclass_hinge();
  proto->set_margin(loss.margin);
  proto->set_power(loss.power);
  return absl::OkStatus();
}

absl::Status Fill(const SquaredError&, int64_t, v1::LossSpec* spec) {
  spec->mutable_squared_error();
  return absl::OkStatus();
}

absl::Status Fill(const Huber& loss, int64_t, v1::LossSpec* spec) {
  spec->mutable_huber()->set_delta(loss.delta);
  return absl::OkStatus();
}

}  // namespace

absl::Status LossSpecToProto(const LossSpec& loss, int64_t classes,
                             v1::LossSpec* spec) {
  return std::visit([&](const auto& kind) { return Fill(kind, classes, spec); },
                    loss);
}

}  // namespace lossd
