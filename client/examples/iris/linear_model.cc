#include "client/examples/iris/linear_model.h"

#include <algorithm>

namespace lossd::iris {

LinearModel::LinearModel(const Dataset& dataset)
    : dataset_(dataset),
      classes_(static_cast<int64_t>(dataset.class_names.size())) {}

std::vector<double> LinearModel::Logits(
    absl::Span<const double> parameters) const {
  const int64_t features = dataset_.features;
  std::vector<double> logits(rows() * classes_);
  for (int64_t row = 0; row < rows(); ++row) {
    const double* x = &dataset_.values[row * features];
    double* z = &logits[row * classes_];
    for (int64_t k = 1; k < classes_; ++k) {
      const double* w = &parameters[(k - 1) * (features + 1)];
      z[k] = w[features];
      for (int64_t f = 0; f < features; ++f) z[k] += w[f] * x[f];
    }
  }
  return logits;
}

void LinearModel::ParameterGradient(absl::Span<const double> logit_gradient,
                                    absl::Span<double> gradient) const {
  const int64_t features = dataset_.features;
  std::fill(gradient.begin(), gradient.end(), 0.0);
  for (int64_t row = 0; row < rows(); ++row) {
    const double* x = &dataset_.values[row * features];
    for (int64_t k = 1; k < classes_; ++k) {
      const double g = logit_gradient[row * classes_ + k];
      double* dw = &gradient[(k - 1) * (features + 1)];
      for (int64_t f = 0; f < features; ++f) dw[f] += g * x[f];
      dw[features] += g;
    }
  }
}

}  // namespace lossd::iris
