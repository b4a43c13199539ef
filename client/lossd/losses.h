// The losses of the contract and their options: plain values, defaults filled
// in. A span is a view that must outlive the call. Sizes are checked before
// anything is sent; ranges are the server's to check.
#ifndef LOSSD_CLIENT_LOSSD_LOSSES_H_
#define LOSSD_CLIENT_LOSSD_LOSSES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/types/span.h"

namespace lossd {

// Which of Batch's two a loss takes.
enum class LabelKind { kIndices, kTargets, kEither };

// -ln softmax(z)_y. Targets are probabilities.
struct SoftmaxCrossEntropy {
  static constexpr std::string_view kName = "softmax_cross_entropy";
  static constexpr LabelKind kLabels = LabelKind::kEither;
  double label_smoothing = 0.0;  // the share spread over all classes; [0, 1]
  // [classes], factors >= 0 of each class's term. Empty: all 1.
  absl::Span<const double> class_weights = {};
  // Rows with this label have loss 0 and gradient 0 and do not count; in or out
  // of [0, classes). Only with class indices.
  std::optional<int64_t> ignore_index = std::nullopt;
  double z_loss = 0.0;  // adds z_loss * (ln sum_j exp(z_j))^2; >= 0
  std::optional<double> logit_scale = std::nullopt;  // z -> scale z; unset: 1
  // Before it, z -> cap tanh(z / cap); in [1e-6, 1e6].
  std::optional<double> logit_softcap = std::nullopt;
};

// The mean over the classes of max(z, 0) - z t + ln(1 + exp(-|z|)).
struct SigmoidCrossEntropy {
  static constexpr std::string_view kName = "sigmoid_cross_entropy";
  static constexpr LabelKind kLabels = LabelKind::kTargets;  // in [0, 1]
  // [classes], factors >= 0 of positive targets' terms. Empty: all 1.
  absl::Span<const double> positive_weights = {};
  double label_smoothing = 0.0;  // moves targets towards 1/2; in [0, 1]
};

// -z_y: the logits are log-probabilities already.
struct NegativeLogLikelihood {
  static constexpr std::string_view kName = "negative_log_likelihood";
  static constexpr LabelKind kLabels = LabelKind::kIndices;
  absl::Span<const double> class_weights = {};         // as above
  std::optional<int64_t> ignore_index = std::nullopt;  // as above
};

// KL(teacher || student), both softmax at temperature T, times T^2.
struct KlDivergence {
  static constexpr std::string_view kName = "kl_divergence";
  static constexpr LabelKind kLabels = LabelKind::kTargets;  // the teacher
  double temperature = 1.0;         // T, in [1e-6, 1e6]
  bool targets_are_logits = false;  // or else probabilities
};

// -(1 - p_y)^gamma ln p_y.
struct SoftmaxFocal {
  static constexpr std::string_view kName = "softmax_focal";
  static constexpr LabelKind kLabels = LabelKind::kIndices;
  double gamma = 2.0;                                  // 0 or [2^-100, 2^100]
  absl::Span<const double> class_weights = {};         // as above
  std::optional<int64_t> ignore_index = std::nullopt;  // as above
};

// Binary focal loss, the mean over the classes.
struct SigmoidFocal {
  static constexpr std::string_view kName = "sigmoid_focal";
  static constexpr LabelKind kLabels = LabelKind::kTargets;  // in [0, 1]
  double gamma = 2.0;  // 0 or [2^-100, 2^100]
  // Weighs positive targets, 1 - alpha negative ones; in [0, 1]. Unset: no
  // weights.
  std::optional<double> alpha = std::nullopt;
};

// The mean over c != y of max(0, margin - z_y + z_c)^power.
struct MulticlassHinge {
  static constexpr std::string_view kName = "multiclass_hinge";
  static constexpr LabelKind kLabels = LabelKind::kIndices;
  double margin = 1.0;  // finite
  int32_t power = 1;    // 1 or 2
};

// The mean over the classes of (z - t)^2.
struct SquaredError {
  static constexpr std::string_view kName = "squared_error";
  static constexpr LabelKind kLabels = LabelKind::kTargets;
};

// Quadratic up to |z - t| = delta, linear beyond; the mean over the classes.
struct Huber {
  static constexpr std::string_view kName = "huber";
  static constexpr LabelKind kLabels = LabelKind::kTargets;
  double delta = 1.0;  // > 0
};

using LossSpec =
    std::variant<SoftmaxCrossEntropy, SigmoidCrossEntropy,
                 NegativeLogLikelihood, KlDivergence, SoftmaxFocal,
                 SigmoidFocal, MulticlassHinge, SquaredError, Huber>;

// The contract's names, as ServerInfo::losses has them, in LossSpec's order.
std::vector<std::string> LossNames();
std::string_view LossName(const LossSpec& loss);
// The loss of that name with its defaults; nothing where there is none.
std::optional<LossSpec> LossNamed(std::string_view name);
LabelKind LabelKindOf(const LossSpec& loss);

}  // namespace lossd

#endif  // LOSSD_CLIENT_LOSSD_LOSSES_H_
