// Squared error, Huber and sigmoid cross-entropy against MPFR: every result of
// every type within 1 ulp, the same bits on every instruction set and any
// number of threads.
#include <cmath>
#include <cstdint>
#include <iostream>
#include <limits>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/compute/kernel.h"
#include "tests/compute/elementwise_oracle.h"
#include "tests/support/elements.h"
#include "tests/support/exact_real.h"
#include "tests/support/spec_runner.h"

namespace lossd::testing {
namespace {

using compute::BFloat16;
using compute::Float16;
using compute::Huber;
using compute::LossSpec;
using compute::SigmoidCrossEntropy;
using compute::SquaredError;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

ExactElement Oracle(const SquaredError&, double z, double t, int64_t) {
  const ExactReal d = Real(z) - Real(t);
  return {d * d, Real(2) * d};
}
ExactElement Oracle(const Huber& loss, double z, double t, int64_t) {
  const ExactReal d = Real(z) - Real(t);
  const ExactReal delta = Real(loss.delta);
  const ExactReal size = mpfr_sgn(d.get()) < 0 ? Real(0) - d : d;
  if (mpfr_cmp(size.get(), delta.get()) <= 0) return {d * d / Real(2), d};
  return {delta * (size - delta / Real(2)),
          mpfr_sgn(d.get()) < 0 ? Real(0) - delta : delta};
}
ExactElement Oracle(const SigmoidCrossEntropy& loss, double z, double t,
                    int64_t i) {
  const double w =
      loss.positive_weights.empty() ? 1.0 : loss.positive_weights[i];
  const ExactReal kept = Real(1) - Real(loss.label_smoothing);
  const ExactReal half = Real(loss.label_smoothing) / Real(2);
  const ExactReal positive = Real(w) * (kept * Real(t) + half);
  const ExactReal negative = kept * (Real(1) - Real(t)) + half;
  const ExactReal up = Exp(Real(z)), down = Exp(Real(-z));
  return {positive * Log1p(down) + negative * Log1p(up),
          negative / (Real(1) + down) - positive / (Real(1) + up)};
}

double DrawLogit(int kind, std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  switch (kind % 5) {
    case 0:
      return normal(random);
    case 1:
      return 30 * normal(random);
    case 2:
      return 1e-4 * normal(random);
    case 3:
      return std::round(2 * normal(random));
    default:
      return 300 * normal(random);
  }
}

// Targets near where the slope is 0 among others.
double DrawTarget(const LossSpec& spec, double z, std::mt19937_64& random) {
  std::uniform_real_distribution<double> uniform(0, 1);
  const uint64_t kind = random() % 5;
  if (std::holds_alternative<SigmoidCrossEntropy>(spec)) {
    if (kind == 0) return 0;
    if (kind == 1) return 1;
    if (kind == 2) return 1 / (1 + std::exp(-z));
    return kind == 3 ? 0.5 : uniform(random);
  }
  if (kind == 0) return z;
  if (kind == 1) return z * (1 + 1e-3 * uniform(random));
  return z + 4 * uniform(random) - 2;
}

template <typename T>
class ElementwiseTest : public ElementwiseOracleTest<T> {
 protected:
  // `factors`: a row weight, an upstream gradient and a divisor.
  void Check(const LossSpec& spec, uint64_t seed, int64_t classes,
             bool has_factors) {
    std::mt19937_64 random(seed);
    SpecBatch<T> batch{3, classes};
    for (int64_t i = 0; i < batch.rows * classes; ++i) {
      const double drawn = DrawLogit(static_cast<int>(seed), random);
      batch.logits.push_back(compute::FromDouble<T>(drawn));
      batch.targets.push_back(
          DrawTarget(spec, Wide(batch.logits.back()), random));
    }
    batch.targets = Rounded(batch.targets, batch.target_type);
    if (has_factors) {
      batch.row_weights = {0.3, 1.7, 0};
      batch.upstream = {-2.5, 1e-3, 4};
      batch.options.divisor = 3.7;
    } else {
      batch.options.reduction = compute::Reduction::kSum;
    }
    std::visit(
        [&](const auto& loss) {
          if constexpr (requires { Oracle(loss, 0.0, 0.0, 0); }) {
            this->Expect(spec, batch, [&](double z, double t, int64_t i) {
              return Oracle(loss, z, t, i);
            });
          } else {
            ADD_FAILURE() << "no oracle";
          }
        },
        spec);
  }
};
using Types = ::testing::Types<float, Float16, BFloat16, double>;
TYPED_TEST_SUITE(ElementwiseTest, Types);

std::vector<LossSpec> Specs(absl::Span<const double> weights) {
  return {
      SquaredError(),
      Huber(),
      Huber{.delta = 0.3},
      SigmoidCrossEntropy(),
      SigmoidCrossEntropy{.positive_weights = weights},
      SigmoidCrossEntropy{.label_smoothing = 0.1},
      SigmoidCrossEntropy{.positive_weights = weights, .label_smoothing = 1.0}};
}

TYPED_TEST(ElementwiseTest, IsWithinOneUlp) {
  std::vector<double> weights;
  for (int i = 0; i < 70; ++i) weights.push_back(i % 7 == 0 ? 0 : 0.3 * i);
  for (uint64_t seed = 1; seed <= 70; ++seed) {
    const auto classes = static_cast<int64_t>(seed);
    const std::vector<LossSpec> specs =
        Specs(absl::MakeConstSpan(weights).first(classes));
    for (size_t i = seed % 3; i < specs.size(); i += 3) {
      this->Check(specs[i], seed, classes, seed % 2 == 0);
    }
  }
  std::cout << "worst " << this->worst() << " ulp\n";
}

// Rows that are worked on in several parts, the last one short.
TYPED_TEST(ElementwiseTest, IsWithinOneUlpOfLongRows) {
  std::vector<double> weights;
  for (int i = 0; i < 2100; ++i) weights.push_back(1 + i % 11);
  for (const LossSpec& spec : Specs(weights)) this->Check(spec, 6, 2100, true);
}

// What is wrong with a target is said of rows whose logits make them NaN, too,
// in whichever part of the row either lies.
TYPED_TEST(ElementwiseTest, NamesABadTargetBehindANonFiniteLogit) {
  for (const size_t at : {0, 2, 1024, 2099}) {
    SpecBatch<TypeParam> batch{1, 2100};
    batch.logits.resize(2100);
    batch.targets.assign(2100, 0.5);
    batch.logits[1] = compute::FromDouble<TypeParam>(NAN);
    batch.options.non_finite_policy = compute::NonFinitePolicy::kPropagate;
    EXPECT_TRUE(
        std::isnan(*MustRun(SigmoidCrossEntropy(), batch).summary.loss));
    batch.targets[at] = 1.5;
    const auto run = RunSpec(SigmoidCrossEntropy(), batch);
    ASSERT_FALSE(run.ok());
    EXPECT_THAT(std::string(run.status().message()),
                ::testing::HasSubstr("class " + std::to_string(at)));
  }
}

TYPED_TEST(ElementwiseTest, HasTheSameBitsEverywhere) {
  const std::string best(compute::ActiveKernel());
  std::mt19937_64 random(1);
  for (const LossSpec& spec : Specs(std::vector<double>())) {
    SpecBatch<TypeParam> batch{41, 37};
    for (int64_t i = 0; i < batch.rows * batch.classes; ++i) {
      const double z = DrawLogit(static_cast<int>(i / 37), random);
      batch.logits.push_back(compute::FromDouble<TypeParam>(z));
      batch.targets.push_back(
          DrawTarget(spec, Wide(batch.logits.back()), random));
    }
    const SpecRun<TypeParam> want = MustRun(spec, batch);
    for (const std::string& kernel : compute::AvailableKernels()) {
      compute::SelectKernel(kernel);
      for (const int threads : {1, 3}) {
        batch.threads = threads;
        const SpecRun<TypeParam> run = MustRun(spec, batch);
        EXPECT_TRUE(SameBits(run.gradient, want.gradient)) << kernel;
        EXPECT_TRUE(SameBits(run.row_losses, want.row_losses)) << kernel;
        EXPECT_TRUE(SameBits(*run.summary.loss, *want.summary.loss)) << kernel;
      }
    }
    compute::SelectKernel(best);
  }
}

// A slope that is exactly 0, and slopes a last bit from it.
TEST(SigmoidCrossEntropyTest, SlopesNextToZeroAreExact) {
  SpecBatch<double> batch{1, 3, {0, 0, 1}, {0.5, 0.25, 0.7310585786300049}};
  batch.options.reduction = compute::Reduction::kSum;
  const SpecRun<double> run = MustRun(SigmoidCrossEntropy(), batch);
  EXPECT_EQ(run.gradient[0], 0.0);
  EXPECT_EQ(run.gradient[1], 0.25 / 3);
  const ExactElement want =
      Oracle(SigmoidCrossEntropy(), 1, 0.7310585786300049, 2);
  EXPECT_LE(ErrorInUlps(run.gradient[2], want.slope / Real(3)), 1.0);
  EXPECT_LT(std::abs(run.gradient[2]), 1e-16);
}

TEST(SigmoidCrossEntropyTest, TakesImpossibleClasses) {
  SpecBatch<float> batch{2, 2, {-INFINITY, 1, -INFINITY, 0}, {0, 1, 0.5, 1}};
  batch.options.reduction = compute::Reduction::kSum;
  const SpecRun<float> run = MustRun(SigmoidCrossEntropy(), batch);
  EXPECT_EQ(run.gradient[0], 0.0f);
  EXPECT_FLOAT_EQ(run.row_losses[0], std::log1p(std::exp(-1.0f)) / 2);
  EXPECT_EQ(run.gradient[2], -0.25f);
  EXPECT_EQ(run.row_losses[1], HUGE_VALF);
  EXPECT_EQ(run.summary.loss, kInfinity);
}

TEST(SigmoidCrossEntropyTest, SlopesOfImpossibleClassesAreExact) {
  SpecBatch<double> batch{1, 3, {-HUGE_VAL, 0, -HUGE_VAL}, {0.7, 1, 0.3}};
  batch.options.divisor = 3.7;
  const SpecRun<double> run =
      MustRun(SigmoidCrossEntropy{.label_smoothing = 0.1}, batch);
  const ExactReal smoothing = Real(0.1);
  for (const int i : {0, 2}) {
    const ExactReal positive =
        (Real(1) - smoothing) * Real(batch.targets[i]) + smoothing / Real(2);
    EXPECT_LE(ErrorInUlps(run.gradient[i],
                          Real(0) - positive / (Real(3) * Real(3.7))),
              0.51);
  }
}

TEST(SquaredErrorTest, IsInfiniteForLogitsOfMinusInfinity) {
  SpecBatch<float> batch{1, 2, {-INFINITY, 1}, {0, 3}};
  const SpecRun<float> run = MustRun(SquaredError(), batch);
  EXPECT_EQ(run.gradient[0], -HUGE_VALF);
  EXPECT_EQ(run.gradient[1], -2.0f);
  EXPECT_EQ(run.summary.loss, kInfinity);
}

TEST(HuberTest, TurnsLinearAtDelta) {
  SpecBatch<double> batch{1, 4, {2, 2.0000000000000004, -2, -3}, {0, 0, 0, 0}};
  batch.options.reduction = compute::Reduction::kSum;
  const SpecRun<double> run = MustRun(Huber{.delta = 2}, batch);
  EXPECT_EQ(run.gradient, (std::vector<double>{0.5, 0.5, -0.5, -0.5}));
  EXPECT_DOUBLE_EQ(run.row_losses[0], (2 + 2 + 2 + 4) / 4.0);
}

}  // namespace
}  // namespace lossd::testing
