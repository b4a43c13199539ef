#include "client/examples/bigram/model.h"

#include <algorithm>
#include <cmath>

namespace lossd::bigram {

Model::Model(const Pairs& pairs) : pairs_(pairs), scales_(kClasses) {
  for (const uint8_t previous : pairs.previous) scales_[previous] += 1.0;
  for (double& scale : scales_) {
    if (scale > 0.0) {
      scale = std::sqrt(static_cast<double>(pairs.rows()) / scale);
    }
  }
}

std::vector<double> Model::Weights(absl::Span<const double> parameters) const {
  std::vector<double> weights(parameters.begin(), parameters.end());
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i] *= scales_[i / kClasses];
  }
  return weights;
}

void Model::Logits(absl::Span<const double> parameters,
                   absl::Span<float> logits) const {
  const std::vector<double> exact = Weights(parameters);
  const std::vector<float> weights(exact.begin(), exact.end());
  float* row = logits.data();
  for (const uint8_t previous : pairs_.previous) {
    row = std::copy_n(&weights[previous * kClasses], kClasses, row);
  }
}

void Model::ParameterGradient(absl::Span<const float> logit_gradient,
                              absl::Span<double> gradient) const {
  std::fill(gradient.begin(), gradient.end(), 0.0);
  const float* row = logit_gradient.data();
  for (const uint8_t previous : pairs_.previous) {
    double* sums = &gradient[previous * kClasses];
    for (int64_t c = 0; c < kClasses; ++c) sums[c] += row[c];
    row += kClasses;
  }
  for (size_t i = 0; i < gradient.size(); ++i) {
    gradient[i] *= scales_[i / kClasses];
  }
}

double Model::Optimum() const {
  std::vector<double> counts(kClasses * kClasses);
  std::vector<double> after(kClasses);
  for (int64_t row = 0; row < pairs_.rows(); ++row) {
    counts[pairs_.previous[row] * kClasses + pairs_.next[row]] += 1.0;
    after[pairs_.previous[row]] += 1.0;
  }
  double sum = 0.0;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0.0) continue;
    sum -= counts[i] * std::log(counts[i] / after[i / kClasses]);
  }
  return sum / static_cast<double>(pairs_.rows());
}

}  // namespace lossd::bigram
