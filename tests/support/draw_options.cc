#include "tests/support/draw_options.h"

#include <cmath>
#include <initializer_list>
#include <random>
#include <vector>

namespace lossd::testing {
namespace {

using compute::ElementType;

double Uniform(double low, double high, Random& random) {
  return std::uniform_real_distribution<double>(low, high)(random);
}

bool Chance(double probability, Random& random) {
  return Uniform(0, 1, random) < probability;
}

template <typename T>
T OneOf(std::initializer_list<T> values, Random& random) {
  return values.begin()[random() % values.size()];
}

// Factors around 1, or of any size allowed; some of them 0.
std::vector<double> DrawFactors(int64_t size, Random& random) {
  const bool is_wild = Chance(0.2, random);
  std::vector<double> factors;
  for (int64_t i = 0; i < size; ++i) {
    const double exponent =
        is_wild ? Uniform(-29.9, 29.9, random) : Uniform(-1, 1, random);
    factors.push_back(Chance(0.15, random) ? 0 : std::pow(10, exponent));
  }
  return factors;
}

void NegateSome(std::vector<double>& factors, Random& random) {
  for (double& factor : factors) {
    if (Chance(0.4, random)) factor = -factor;
  }
}

// One class, a distribution, anything in [0, 2], or that with many zeros.
void DrawTargetRow(int64_t classes, Random& random, std::vector<double>& to) {
  const uint64_t kind = random() % 4;
  std::vector<double> row(classes);
  double sum = 0;
  for (double& t : row) {
    t = Uniform(0, 2, random);
    if (kind == 3 && Chance(0.7, random)) t = 0;
    if (kind == 1) t = std::exp(Uniform(-8, 8, random));
    sum += t;
  }
  if (kind == 0) {
    row.assign(classes, 0);
    row[random() % classes] = 1;
  }
  if (kind == 1) {
    for (double& t : row) t /= sum;
  }
  to.insert(to.end(), row.begin(), row.end());
}

void DrawReduction(Random& random, compute::LossOptions& options) {
  options.reduction =
      OneOf({compute::Reduction::kMean, compute::Reduction::kSum,
             compute::Reduction::kNone},
            random);
  if (options.reduction == compute::Reduction::kMean && Chance(0.5, random)) {
    options.divisor =
        OneOf({3.0, 0.1, 1e-3, 12345678.9, Uniform(0.5, 2, random)}, random);
  }
}

void DrawTargets(int64_t rows, int64_t classes, Random& random,
                 RunSettings& settings) {
  if (Chance(0.5, random)) {
    for (int64_t r = 0; r < rows; ++r) {
      DrawTargetRow(classes, random, settings.target_probabilities);
    }
    settings.target_type = OneOf({ElementType::kFloat16, ElementType::kBFloat16,
                                  ElementType::kFloat32, ElementType::kFloat64},
                                 random);
  } else if (Chance(0.5, random)) {
    settings.loss.ignore_index = OneOf(
        {int64_t{-100}, classes, static_cast<int64_t>(random() % classes)},
        random);
  }
}

}  // namespace

RunSettings DrawOptions(uint64_t seed, int64_t rows, int64_t classes) {
  Random random(seed);
  RunSettings settings;
  compute::SoftmaxCrossEntropy& loss = settings.loss;
  if (Chance(0.5, random)) {
    settings.class_weights = DrawFactors(classes, random);
  }
  loss.label_smoothing =
      OneOf({0.0, 0.0, 1.0, 0.1, 1e-6, Uniform(0, 1, random)}, random);
  loss.z_loss = OneOf({0.0, 0.0, 1e-4, 0.1}, random);
  loss.logit_scale = OneOf({1.0, 1.0, 0.5, 3.0, 0.1}, random);
  if (Chance(0.5, random)) settings.row_weights = DrawFactors(rows, random);
  if (Chance(0.6, random)) {
    settings.upstream = DrawFactors(Chance(0.3, random) ? 1 : rows, random);
    NegateSome(settings.upstream, random);
  }
  DrawReduction(random, settings.options);
  DrawTargets(rows, classes, random, settings);
  if (Chance(0.3, random)) {
    settings.gradient_type = OneOf(
        {ElementType::kFloat16, ElementType::kBFloat16, ElementType::kFloat32},
        random);
  }
  return settings;
}

RunSettings DrawCappedOptions(uint64_t seed, int64_t rows, int64_t classes) {
  RunSettings settings = DrawOptions(seed, rows, classes);
  Random random(seed + 1'000'000);
  settings.loss.logit_softcap =
      OneOf({1e-6, 1e-3, 0.1, 1.0, 2.0, 5.0, 30.0, 50.0, 1e3, 1e6,
             std::pow(10, Uniform(-6, 6, random))},
            random);
  if (Chance(0.2, random)) {
    settings.loss.logit_scale = OneOf({1e-6, 1e3, 1e6}, random);
  }
  return settings;
}

}  // namespace lossd::testing
