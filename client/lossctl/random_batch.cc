#include "client/lossctl/random_batch.h"

#include <optional>
#include <random>
#include <variant>

namespace lossd::lossctl {
namespace {

using Random = std::mt19937_64;

std::optional<int64_t> IgnoreIndexOf(const LossSpec& loss) {
  return std::visit(
      [](const auto& kind) -> std::optional<int64_t> {
        if constexpr (requires { kind.ignore_index; }) {
          return kind.ignore_index;
        }
        return std::nullopt;
      },
      loss);
}

absl::Span<const double> ClassWeightsOf(const LossSpec& loss) {
  return std::visit(
      [](const auto& kind) -> absl::Span<const double> {
        if constexpr (requires { kind.class_weights; }) {
          return kind.class_weights;
        }
        return {};
      },
      loss);
}

// Rows of positive numbers that add up to 1.
std::vector<double> DrawProbabilities(int64_t rows, int64_t classes,
                                      Random& random) {
  std::exponential_distribution<double> share(1.0);
  std::vector<double> probabilities;
  for (int64_t row = 0; row < rows; ++row) {
    double sum = 0.0;
    for (int64_t c = 0; c < classes; ++c) {
      probabilities.push_back(share(random));
      sum += probabilities.back();
    }
    for (int64_t c = 0; c < classes; ++c) {
      probabilities[row * classes + c] /= sum;
    }
  }
  return probabilities;
}

template <typename Distribution>
std::vector<double> Draw(int64_t count, Distribution distribution,
                         Random& random) {
  std::vector<double> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(distribution(random));
  return values;
}

std::vector<double> DrawTargets(const LossSpec& loss, int64_t rows,
                                int64_t classes, Random& random) {
  const std::normal_distribution<double> real(0.0, 3.0);
  if (std::holds_alternative<SigmoidCrossEntropy>(loss) ||
      std::holds_alternative<SigmoidFocal>(loss)) {
    return Draw(rows * classes, std::uniform_real_distribution<double>(),
                random);
  }
  const auto* teacher = std::get_if<KlDivergence>(&loss);
  if (std::holds_alternative<SoftmaxCrossEntropy>(loss) ||
      (teacher != nullptr && !teacher->targets_are_logits)) {
    return DrawProbabilities(rows, classes, random);
  }
  return Draw(rows * classes, real, random);
}

}  // namespace

RandomBatch DrawBatch(const LossSpec& loss, bool float_targets, int64_t rows,
                      int64_t classes, uint64_t seed) {
  Random random(seed);
  RandomBatch batch;
  batch.logits =
      Draw(rows * classes, std::normal_distribution<double>(0.0, 3.0), random);
  const LabelKind kind = LabelKindOf(loss);
  if (kind == LabelKind::kTargets ||
      (kind == LabelKind::kEither && float_targets)) {
    batch.targets = DrawTargets(loss, rows, classes, random);
    return batch;
  }
  const auto ignore_index = IgnoreIndexOf(loss);
  std::uniform_int_distribution<int64_t> label(0, classes - 1);
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t drawn = label(random);
    batch.labels.push_back(row % 3 == 2 ? ignore_index.value_or(drawn) : drawn);
  }
  return batch;
}

double MeanDenominator(const LossSpec& loss, const Batch<double>& batch) {
  const auto ignore_index = IgnoreIndexOf(loss);
  const auto class_weights = ClassWeightsOf(loss);
  double sum = 0.0;
  for (int64_t row = 0; row < batch.rows; ++row) {
    double weight = batch.row_weights.empty() ? 1.0 : batch.row_weights[row];
    if (!batch.labels.empty()) {
      const int64_t label = batch.labels[row];
      if (label == ignore_index) continue;
      if (!class_weights.empty()) weight *= class_weights[label];
    }
    sum += weight;
  }
  return sum;
}

}  // namespace lossd::lossctl
