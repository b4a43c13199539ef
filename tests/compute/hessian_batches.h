// Every loss with a Hessian, and a small batch for each.
#ifndef LOSSD_TESTS_COMPUTE_HESSIAN_BATCHES_H_
#define LOSSD_TESTS_COMPUTE_HESSIAN_BATCHES_H_

#include <limits>
#include <vector>

#include "server/compute/loss.h"
#include "tests/support/spec_runner.h"

namespace lossd::testing {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

using Doubles = std::vector<double>;

inline const Doubles kWeights = {1, 0.5, 2, 0, 3};

inline std::vector<compute::LossSpec> OfIndices() {
  return {compute::SoftmaxCrossEntropy(),
          compute::SoftmaxCrossEntropy{.class_weights = kWeights,
                                       .label_smoothing = 0.1},
          compute::SoftmaxCrossEntropy{.z_loss = 0.2, .logit_scale = 1.5},
          compute::SoftmaxCrossEntropy{.z_loss = 0.2, .logit_softcap = 2},
          compute::SoftmaxFocal(),
          compute::SoftmaxFocal{.gamma = 0.5, .class_weights = kWeights},
          compute::NegativeLogLikelihood()};
}
inline std::vector<compute::LossSpec> OfTargets() {
  return {compute::SigmoidCrossEntropy{.positive_weights = kWeights},
          compute::SigmoidFocal(),
          compute::SigmoidFocal{.gamma = 0.5, .alpha = 0.25},
          compute::KlDivergence(),
          compute::KlDivergence{.temperature = 2, .targets_are_logits = true},
          compute::SquaredError(),
          compute::Huber(),
          compute::SoftmaxCrossEntropy{.class_weights = kWeights}};
}

// Three rows of five, for the loss's kind of labels.
inline SpecBatch<double> FiveClasses(bool has_targets) {
  SpecBatch<double> batch{3, 5};
  batch.logits = {0.3, -1, 2,    0.7, 1.1, 5,  1,  -2,
                  0,   3,  -0.4, 0.2, 0.1, -3, 0.9};
  if (has_targets) {
    for (int i = 0; i < 15; ++i) batch.targets.push_back(i % 4 / 3.0);
  } else {
    batch.labels = {2, 0, 4};
  }
  batch.row_weights = {1, 0.7, 2};
  batch.upstream = {1, -2, 0.3};
  return batch;
}

template <typename Check>
void ForEachLoss(const Check& check) {
  for (const compute::LossSpec& spec : OfIndices())
    check(spec, FiveClasses(false));
  for (const compute::LossSpec& spec : OfTargets())
    check(spec, FiveClasses(true));
}

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_COMPUTE_HESSIAN_BATCHES_H_
