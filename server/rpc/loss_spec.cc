#include "server/rpc/loss_spec.h"

#include <fmt/format.h>

#include <cmath>
#include <string>

#include "server/rpc/errors.h"
#include "server/rpc/factors.h"
#include "server/rpc/tensor.h"

namespace lossd::rpc {
namespace {

// The core's own, which its door does not export: loss_spec_test holds them
// together.
constexpr double kMinLogitScale = 1e-6;
constexpr double kMaxLogitScale = 1e6;
constexpr double kMinSoftcap = 1e-6;
constexpr double kMaxSoftcap = 1e6;
constexpr double kMinTemperature = 1e-6;
constexpr double kMaxTemperature = 1e6;

// Checks the options of one loss, one call each, and keeps the first error.
class OptionChecker {
 public:
  OptionChecker(std::string_view loss, int64_t classes)
      : path_(fmt::format("loss.{}", loss)), classes_(classes) {}

  std::string Path(std::string_view option) const {
    return fmt::format("{}.{}", path_, option);
  }

  void InUnitInterval(std::string_view option, double value) {
    Check(option, value, value >= 0 && value <= 1, "[0, 1]");
  }
  void Positive(std::string_view option, double value) {
    Check(option, value, std::isfinite(value) && value > 0,
          "a finite number > 0");
  }
  void PositiveFactor(std::string_view option, double value) {
    Check(option, value, value > 0 && IsFactor(value), "[2^-100, 2^100]");
  }
  void Margin(std::string_view option, double value) {
    Check(option, value, std::abs(value) <= compute::kMaxFactor,
          "[-2^100, 2^100]");
  }
  void OneOrTwo(std::string_view option, int32_t value) {
    Check(option, value, value == 1 || value == 2, "1 or 2");
  }
  void LogitScale(std::string_view option, double value) {
    Check(option, value, value >= kMinLogitScale && value <= kMaxLogitScale,
          "[1e-06, 1e+06]");
  }
  void Softcap(std::string_view option, double value) {
    Check(option, value, value >= kMinSoftcap && value <= kMaxSoftcap,
          "[1e-06, 1e+06]");
  }
  void Temperature(std::string_view option, double value) {
    Check(option, value, value >= kMinTemperature && value <= kMaxTemperature,
          "[1e-06, 1e+06]");
  }
  void Factor(std::string_view option, double value) {
    Check(option, value, IsFactor(value), kFactorRange);
  }
  std::vector<double> FactorPerClass(std::string_view option,
                                     const v1::Tensor& message) {
    if (!status_.ok()) return {};
    const wire::Tensor tensor = wire::ViewOf(message);
    const absl::StatusOr<TensorView> view =
        FloatTensorFromProto(tensor, Path(option));
    status_ =
        view.ok() ? CheckShape(*view, Path(option), {classes_}) : view.status();
    if (!status_.ok()) return {};
    absl::StatusOr<std::vector<double>> factors =
        FactorsOf(*view, Path(option), FactorSign::kNotNegative);
    if (factors.ok()) return *std::move(factors);
    status_ = factors.status();
    return {};
  }

  const absl::Status& status() const { return status_; }

 private:
  template <typename Value>
  void Check(std::string_view option, Value value, bool holds,
             std::string_view want) {
    if (!status_.ok() || holds) return;
    status_ = OutOfRange(Path(option), fmt::format("{}", value), want);
  }

  const std::string path_;
  const int64_t classes_;
  absl::Status status_;
};

// A loss of class weights and an ignore_index beside the options in `spec`.
template <typename Loss, typename Spec>
absl::StatusOr<OwnedLossSpec> Weighted(const Loss& loss, Spec spec,
                                       OptionChecker& check) {
  OwnedLossSpec owned;
  if (loss.has_class_weights()) {
    owned.class_weights =
        check.FactorPerClass("class_weights", loss.class_weights());
    spec.class_weights = owned.class_weights;
  }
  if (loss.has_ignore_index()) spec.ignore_index = loss.ignore_index();
  if (!check.status().ok()) return check.status();
  owned.spec = spec;
  return owned;
}

absl::StatusOr<OwnedLossSpec> SoftmaxCrossEntropyFromProto(
    const v1::SoftmaxCrossEntropy& loss, int64_t classes) {
  compute::SoftmaxCrossEntropy spec;
  spec.label_smoothing = loss.label_smoothing();
  spec.z_loss = loss.z_loss();
  if (loss.has_logit_scale()) spec.logit_scale = loss.logit_scale();

  OptionChecker check("softmax_cross_entropy", classes);
  check.InUnitInterval("label_smoothing", spec.label_smoothing);
  check.Factor("z_loss", spec.z_loss);
  check.LogitScale("logit_scale", spec.logit_scale);
  if (loss.has_logit_softcap()) {
    check.Softcap("logit_softcap", loss.logit_softcap());
    spec.logit_softcap = loss.logit_softcap();
  }
  return Weighted(loss, spec, check);
}

// A loss of the catalogue whose options take nothing beside numbers.
template <typename Spec>
absl::StatusOr<OwnedLossSpec> Checked(const Spec& spec,
                                      const OptionChecker& check) {
  if (!check.status().ok()) return check.status();
  OwnedLossSpec owned;
  owned.spec = spec;
  return owned;
}

absl::StatusOr<OwnedLossSpec> SigmoidCrossEntropyFromProto(
    const v1::SigmoidCrossEntropy& loss, int64_t classes) {
  OwnedLossSpec owned;
  compute::SigmoidCrossEntropy spec;
  OptionChecker check("sigmoid_cross_entropy", classes);
  if (loss.has_positive_weights()) {
    owned.class_weights =
        check.FactorPerClass("positive_weights", loss.positive_weights());
    spec.positive_weights = owned.class_weights;
  }
  spec.label_smoothing = loss.label_smoothing();
  check.InUnitInterval("label_smoothing", spec.label_smoothing);
  if (!check.status().ok()) return check.status();
  owned.spec = spec;
  return owned;
}

absl::StatusOr<OwnedLossSpec> NegativeLogLikelihoodFromProto(
    const v1::NegativeLogLikelihood& loss, int64_t classes) {
  OptionChecker check("negative_log_likelihood", classes);
  return Weighted(loss, compute::NegativeLogLikelihood(), check);
}

absl::StatusOr<OwnedLossSpec> KlDivergenceFromProto(
    const v1::KlDivergence& loss, int64_t classes) {
  compute::KlDivergence spec;
  spec.targets_are_logits = loss.targets_are_logits();
  if (loss.has_temperature()) spec.temperature = loss.temperature();
  OptionChecker check("kl_divergence", classes);
  check.Temperature("temperature", spec.temperature);
  return Checked(spec, check);
}

absl::StatusOr<OwnedLossSpec> SoftmaxFocalFromProto(
    const v1::SoftmaxFocal& loss, int64_t classes) {
  compute::SoftmaxFocal spec;
  OptionChecker check("softmax_focal", classes);
  if (loss.has_gamma()) spec.gamma = loss.gamma();
  check.Factor("gamma", spec.gamma);
  return Weighted(loss, spec, check);
}

absl::StatusOr<OwnedLossSpec> SigmoidFocalFromProto(
    const v1::SigmoidFocal& loss, int64_t classes) {
  compute::SigmoidFocal spec;
  OptionChecker check("sigmoid_focal", classes);
  if (loss.has_gamma()) spec.gamma = loss.gamma();
  check.Factor("gamma", spec.gamma);
  if (loss.has_alpha()) {
    spec.alpha = loss.alpha();
    check.InUnitInterval("alpha", loss.alpha());
  }
  return Checked(spec, check);
}

absl::StatusOr<OwnedLossSpec> MulticlassHingeFromProto(
    const v1::MulticlassHinge& loss, int64_t classes) {
  compute::MulticlassHinge spec;
  if (loss.has_margin()) spec.margin = loss.margin();
  if (loss.has_power()) spec.power = loss.power();
  OptionChecker check("multiclass_hinge", classes);
  check.Margin("margin", spec.margin);
  check.OneOrTwo("power", spec.power);
  return Checked(spec, check);
}

absl::StatusOr<OwnedLossSpec> HuberFromProto(const v1::Huber& loss,
                                             int64_t classes) {
  compute::Huber spec;
  if (loss.has_delta()) spec.delta = loss.delta();
  OptionChecker check("huber", classes);
  check.PositiveFactor("delta", spec.delta);
  return Checked(spec, check);
}

}  // namespace

absl::StatusOr<OwnedLossSpec> LossSpecFromProto(const v1::LossSpec& spec,
                                                int64_t classes,
                                                Unbuilt& unbuilt) {
  switch (spec.kind_case()) {
    case v1::LossSpec::kSoftmaxCrossEntropy:
      return SoftmaxCrossEntropyFromProto(spec.softmax_cross_entropy(),
                                          classes);
    case v1::LossSpec::kSigmoidCrossEntropy:
      return SigmoidCrossEntropyFromProto(spec.sigmoid_cross_entropy(),
                                          classes);
    case v1::LossSpec::kNegativeLogLikelihood:
      return NegativeLogLikelihoodFromProto(spec.negative_log_likelihood(),
                                            classes);
    case v1::LossSpec::kKlDivergence:
      return KlDivergenceFromProto(spec.kl_divergence(), classes);
    case v1::LossSpec::kSoftmaxFocal:
      return SoftmaxFocalFromProto(spec.softmax_focal(), classes);
    case v1::LossSpec::kSigmoidFocal:
      return SigmoidFocalFromProto(spec.sigmoid_focal(), classes);
    case v1::LossSpec::kMulticlassHinge:
      return MulticlassHingeFromProto(spec.multiclass_hinge(), classes);
    case v1::LossSpec::kSquaredError:
      return Checked(compute::SquaredError(),
                     OptionChecker("squared_error", classes));
    case v1::LossSpec::kHuber:
      return HuberFromProto(spec.huber(), classes);
    case v1::LossSpec::KIND_NOT_SET:
      break;
  }
  // A loss of a later contract parses as an unknown field: taking it for the
  // default loss would be a wrong answer without an error.
  const auto& unknown = spec.GetReflection()->GetUnknownFields(spec);
  if (!unknown.empty()) {
    unbuilt.Note(fmt::format("the loss of LossSpec's field {}",
                             unknown.field(0).number()),
                 "loss");
  }
  return OwnedLossSpec();
}

std::vector<std::string> BuiltLosses() {
  const auto* kinds = v1::LossSpec::descriptor()->FindOneofByName("kind");
  std::vector<std::string> names;
  for (int i = 0; i < kinds->field_count(); ++i) {
    v1::LossSpec spec;
    spec.GetReflection()->MutableMessage(&spec, kinds->field(i));
    Unbuilt unbuilt;
    const bool is_valid = LossSpecFromProto(spec, 1, unbuilt).ok();
    if (is_valid && unbuilt.status().ok()) {
      names.push_back(kinds->field(i)->name());
    }
  }
  return names;
}

}  // namespace lossd::rpc
