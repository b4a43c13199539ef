// Products of Hessians and vectors against MPFR's dense Hessians: every loss,
// option and type.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/elements.h"
#include "tests/support/exact_real.h"
#include "tests/support/hessian_oracle.h"
#include "tests/support/hessian_runner.h"

namespace lossd::testing {
namespace {

using compute::BFloat16;
using compute::Float16;
using compute::Huber;
using compute::KlDivergence;
using compute::LossSpec;
using compute::NegativeLogLikelihood;
using compute::SigmoidCrossEntropy;
using compute::SigmoidFocal;
using compute::SoftmaxCrossEntropy;
using compute::SoftmaxFocal;
using compute::SquaredError;

constexpr mpfr_prec_t kBits = 1536;

// What terms that cancel leave, of their size: docs/numerics.md.
constexpr double kCancelledPlain = 0x1p-86;
constexpr double kCancelled = 0x1p-80;
// With a softcap, whose logits are known to 2^-85 of themselves.
constexpr double kCancelledCapped = 0x1p-74;

ExactReal Real(double value) { return ExactReal(kBits, value); }

bool TakesTargets(const LossSpec& spec) {
  return std::holds_alternative<SigmoidCrossEntropy>(spec) ||
         std::holds_alternative<SigmoidFocal>(spec) ||
         std::holds_alternative<KlDivergence>(spec) ||
         std::holds_alternative<SquaredError>(spec) ||
         std::holds_alternative<Huber>(spec);
}

double CancelledOf(const LossSpec& spec) {
  if (std::holds_alternative<KlDivergence>(spec)) return kCancelledPlain;
  const auto* softmax = std::get_if<SoftmaxCrossEntropy>(&spec);
  if (softmax == nullptr) return kCancelled;
  if (softmax->logit_softcap) return kCancelledCapped;
  return softmax->z_loss == 0 ? kCancelledPlain : kCancelled;
}

double DrawLogit(uint64_t kind, std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  switch (kind % 6) {
    case 0:
      return normal(random);
    case 1:
      return 10 * normal(random);
    case 2:
      return 1e-3 * normal(random);
    case 3:
      return std::round(2 * normal(random));
    case 4:
      return random() % 8 == 0 ? -HUGE_VAL : 1000 + 3 * normal(random);
    default:
      return random() % 8 == 0 ? 90 : normal(random);  // one dominates
  }
}

double DrawComponent(uint64_t kind, std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  switch (kind % 5) {
    case 0:
      return normal(random);
    case 1:
      return random() % 4 == 0 ? 1 : 0;
    case 2:
      return 1000 + normal(random);
    case 3:
      return std::exp(2 * normal(random));
    default:
      return std::round(3 * normal(random));
  }
}

// The component of class 0 for which v_0 - p . v is as near to 0 as T goes.
template <typename T>
T CancellingComponent(const T* logits, const T* vector, int64_t classes) {
  long double weight = 0, sum = 0;
  for (int64_t i = 1; i < classes; ++i) {
    const long double e =
        std::exp(static_cast<long double>(Wide(logits[i])) - Wide(logits[1]));
    weight += e;
    sum += e * Wide(vector[i]);
  }
  return compute::FromDouble<T>(static_cast<double>(sum / weight));
}

template <typename T>
class HessianAccuracyTest : public ::testing::Test {
 protected:
  SpecBatch<T> Draw(const LossSpec& spec, uint64_t seed, int64_t classes,
                    bool has_targets, std::vector<T>& vector) {
    std::mt19937_64 random(seed);
    SpecBatch<T> batch{3, classes};
    std::uniform_real_distribution<double> uniform(0, 1);
    const bool may_be_far = !std::holds_alternative<SquaredError>(spec) &&
                            !std::holds_alternative<Huber>(spec);
    for (int64_t r = 0; r < batch.rows; ++r) {
      if (!has_targets) {
        batch.labels.push_back(static_cast<int64_t>(random() % classes));
      }
      for (int64_t i = 0; i < classes; ++i) {
        double z = DrawLogit(may_be_far ? seed + r : r, random);
        if (std::isinf(z) && i == 0) z = 1000;
        batch.logits.push_back(compute::FromDouble<T>(z));
        vector.push_back(
            compute::FromDouble<T>(DrawComponent(seed / 2 + r, random)));
        if (has_targets) batch.targets.push_back(uniform(random));
      }
    }
    for (int64_t r = 0; r < batch.rows && seed % 3 == 0 && classes > 2; ++r) {
      const int64_t at = r * classes;
      if (std::isinf(Wide(batch.logits[at + 1]))) continue;
      vector[at] = CancellingComponent(&batch.logits[at], &vector[at], classes);
    }
    batch.options.reduction = compute::Reduction::kSum;
    if (seed % 2 == 0) {
      batch.row_weights = {0.3, 1.7, 0};
      batch.upstream = {-2.5, 1e-3, 4};
    }
    return batch;
  }

  void Check(const LossSpec& spec, uint64_t seed, int64_t classes,
             bool has_targets) {
    std::vector<T> vector;
    const SpecBatch<T> batch = Draw(spec, seed, classes, has_targets, vector);
    const std::vector<T> product = MustRunHessian(spec, batch, vector);
    const std::vector<double> logits = Wide(batch.logits);
    const std::vector<double> v = Wide(vector);
    const double cancelled = CancelledOf(spec);
    const auto row_of = [&](const std::vector<double>& values, int64_t r) {
      return absl::MakeConstSpan(values).subspan(r * classes, classes);
    };
    for (int64_t r = 0; r < batch.rows; ++r) {
      HessianInput row = {row_of(logits, r)};
      if (has_targets) {
        row.targets = row_of(batch.targets, r);
      } else {
        row.label = batch.labels[r];
      }
      const ExactProduct want = OracleHessianProduct(spec, row, row_of(v, r));
      const ExactReal factor =
          Real(batch.row_weights.empty() ? 1 : batch.row_weights[r]) *
          Real(batch.upstream.empty() ? 1 : batch.upstream[r]);
      for (int64_t i = 0; i < classes; ++i) {
        Expect(product[r * classes + i], want.value[i] * factor,
               want.size[i] * factor, cancelled,
               "loss " + std::to_string(spec.index()) + ", seed " +
                   std::to_string(seed) + ", row " + std::to_string(r) +
                   ", class " + std::to_string(i));
      }
    }
  }

  void Expect(T computed, const ExactReal& want, const ExactReal& size,
              double cancelled, const std::string& where) {
    const double ulps = ErrorInUlps(computed, want);
    ++values_;
    ExactReal parts = size;
    mpfr_abs(parts.get(), parts.get(), MPFR_RNDN);
    const double part =
        mpfr_zero_p(parts.get()) != 0
            ? 1
            : std::abs(mpfr_get_d((want / parts).get(), MPFR_RNDN));
    const ExactReal error = Real(Wide(computed)) - want;
    // Where nothing cancels, what is lost does not show.
    const double unit = ElementTypeOf<T>() == compute::ElementType::kFloat64
                            ? 0x1p-54
                            : 0x1p-26;
    if (part * unit >= cancelled) {
      worst_ = std::max(worst_, ulps);
      EXPECT_LE(ulps, 1.0) << where << ": " << Wide(computed) << ", want "
                           << Wide(RoundTo<T>(want));
      return;
    }
    ++cancelled_;
    if (ulps <= 1.0) return;
    const double lost = std::abs(mpfr_get_d((error / parts).get(), MPFR_RNDN)) *
                        (1.0 - 1.0 / ulps);
    worst_lost_ = std::max(worst_lost_, lost);
    EXPECT_LE(lost, cancelled) << where << ": " << Wide(computed) << ", want "
                               << Wide(RoundTo<T>(want));
  }

  void Report() const {
    std::cout << values_ << " values, worst " << worst_ << " ulp; "
              << cancelled_ << " cancelled, lost at most 2^"
              << std::log2(worst_lost_) << " of the parts\n";
  }

  double worst_ = 0;
  double worst_lost_ = 0;
  int64_t values_ = 0;
  int64_t cancelled_ = 0;
};
using Types = ::testing::Types<float, Float16, BFloat16, double>;
TYPED_TEST_SUITE(HessianAccuracyTest, Types);

std::vector<LossSpec> Specs(absl::Span<const double> weights) {
  return {
      SoftmaxCrossEntropy(),
      SoftmaxCrossEntropy{.class_weights = weights},
      SoftmaxCrossEntropy{.label_smoothing = 0.1},
      SoftmaxCrossEntropy{
          .class_weights = weights, .label_smoothing = 1, .z_loss = 0.3},
      SoftmaxCrossEntropy{.z_loss = 1e-4, .logit_scale = 0.7},
      SoftmaxCrossEntropy{.z_loss = 5, .logit_scale = 1e-6},
      SoftmaxCrossEntropy{.logit_scale = 3.3},
      SoftmaxFocal(),
      SoftmaxFocal{.gamma = 0, .class_weights = weights},
      SoftmaxFocal{.gamma = 0.5},
      SoftmaxFocal{.gamma = 1},
      SoftmaxFocal{.gamma = 7.3, .class_weights = weights},
      SoftmaxCrossEntropy{.logit_softcap = 3},
      SoftmaxCrossEntropy{.class_weights = weights,
                          .label_smoothing = 0.1,
                          .z_loss = 0.3,
                          .logit_scale = 0.7,
                          .logit_softcap = 30},
      KlDivergence(),
      KlDivergence{.temperature = 0.3},
      KlDivergence{.temperature = 7, .targets_are_logits = true},
      SigmoidFocal(),
      SigmoidFocal{.gamma = 0, .alpha = 0.25},
      SigmoidFocal{.gamma = 0.5},
      SigmoidFocal{.gamma = 1, .alpha = 1},
      SigmoidFocal{.gamma = 40, .alpha = 0.3},
      SigmoidCrossEntropy(),
      SigmoidCrossEntropy{.positive_weights = weights, .label_smoothing = 0.1},
      NegativeLogLikelihood{.class_weights = weights},
      SquaredError(),
      Huber(),
      Huber{.delta = 0.3}};
}

TYPED_TEST(HessianAccuracyTest, IsWithinOneUlp) {
  std::vector<double> weights;
  for (int i = 0; i < 70; ++i) weights.push_back(i % 7 == 0 ? 0 : 0.3 * i);
  for (uint64_t seed = 1; seed <= 70; ++seed) {
    const auto classes = static_cast<int64_t>(seed);
    const std::vector<LossSpec> specs =
        Specs(absl::MakeConstSpan(weights).first(classes));
    for (size_t i = seed % 7; i < specs.size(); i += 7) {
      this->Check(specs[i], seed, classes, TakesTargets(specs[i]));
    }
    // Cross-entropy takes probabilities, too.
    this->Check(specs[seed % 9 < 7 ? seed % 9 : seed % 9 + 5], seed, classes,
                true);
  }
  this->Report();
}

TYPED_TEST(HessianAccuracyTest, IsWithinOneUlpOfLongRows) {
  this->Check(SoftmaxCrossEntropy{.label_smoothing = 0.1}, 6, 201, false);
  this->Check(SoftmaxFocal(), 7, 201, false);
  this->Check(SigmoidCrossEntropy(), 8, 201, true);
  this->Check(KlDivergence(), 9, 201, true);
  this->Check(SoftmaxCrossEntropy{.logit_softcap = 5}, 10, 201, false);
  this->Check(KlDivergence(), 9, 201, true);
  this->Check(SoftmaxCrossEntropy{.logit_softcap = 5}, 10, 201, false);
  this->Check(KlDivergence(), 9, 201, true);
  this->Check(SoftmaxCrossEntropy{.logit_softcap = 5}, 10, 201, false);
  this->Report();
}

}  // namespace
}  // namespace lossd::testing
