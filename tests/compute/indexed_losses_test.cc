// Negative log-likelihood, softmax focal loss and multiclass hinge against
// MPFR: every result of every type within 1 ulp, the same bits on every
// instruction set and any number of threads.
#include <algorithm>
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
#include "tests/support/elements.h"
#include "tests/support/exact_real.h"
#include "tests/support/spec_runner.h"

namespace lossd::testing {
namespace {

using compute::BFloat16;
using compute::Float16;
using compute::LossSpec;
using compute::MulticlassHinge;
using compute::NegativeLogLikelihood;
using compute::SoftmaxFocal;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr mpfr_prec_t kBits = 1200;

ExactReal Real(double value) { return ExactReal(kBits, value); }

// A row's loss and gradient, without row weight and divisor.
struct ExactLoss {
  ExactReal loss;
  std::vector<ExactReal> gradient;
};

double WeightOf(absl::Span<const double> weights, int64_t label) {
  return weights.empty() ? 1.0 : weights[label];
}

ExactLoss Oracle(const NegativeLogLikelihood& loss,
                 const std::vector<double>& z, int64_t label) {
  const ExactReal minus_weight = Real(-WeightOf(loss.class_weights, label));
  ExactLoss want = {minus_weight * Real(z[label]),
                    std::vector<ExactReal>(z.size(), Real(0))};
  want.gradient[label] = minus_weight;
  return want;
}

ExactLoss Oracle(const MulticlassHinge& loss, const std::vector<double>& z,
                 int64_t label) {
  ExactLoss want = {Real(0), std::vector<ExactReal>(z.size(), Real(0))};
  if (z.size() == 1) return want;
  const ExactReal others = Real(static_cast<double>(z.size() - 1));
  for (size_t i = 0; i < z.size(); ++i) {
    if (static_cast<int64_t>(i) == label || std::isinf(z[i])) continue;
    const ExactReal h = Real(loss.margin) - Real(z[label]) + Real(z[i]);
    if (mpfr_sgn(h.get()) <= 0) continue;
    const bool squared = loss.power == 2;
    want.loss = want.loss + (squared ? h * h : h) / others;
    want.gradient[i] = (squared ? Real(2) * h : Real(1)) / others;
    want.gradient[label] = want.gradient[label] - want.gradient[i];
  }
  return want;
}

ExactLoss Oracle(const SoftmaxFocal& loss, const std::vector<double>& z,
                 int64_t label) {
  std::vector<ExactReal> e;
  ExactReal others = Real(0);
  const double max = *std::max_element(z.begin(), z.end());
  for (size_t i = 0; i < z.size(); ++i) {
    e.push_back(Real(0));
    if (!std::isinf(z[i])) {
      const ExactReal x = Real(z[i]) - Real(max);
      mpfr_exp(e[i].get(), x.get(), MPFR_RNDN);
    }
    if (static_cast<int64_t>(i) != label) others = others + e[i];
  }
  const ExactReal sum = others + e[label];
  const ExactReal p = e[label] / sum, m = others / sum;
  ExactLoss want = {Real(0), std::vector<ExactReal>(z.size(), Real(0))};
  if (mpfr_zero_p(m.get())) return want;
  ExactReal minus_log = Real(0), power = Real(0);
  const ExactReal ratio = others / e[label];
  mpfr_log1p(minus_log.get(), ratio.get(), MPFR_RNDN);
  mpfr_pow(power.get(), m.get(), Real(loss.gamma).get(), MPFR_RNDN);
  const ExactReal weight = Real(WeightOf(loss.class_weights, label));
  const ExactReal factor =
      weight * power * (Real(1) + Real(loss.gamma) * p * minus_log / m);
  want.loss = weight * power * minus_log;
  for (size_t i = 0; i < z.size(); ++i) {
    want.gradient[i] = factor * (e[i] / sum);
  }
  want.gradient[label] = Real(0) - factor * m;
  return want;
}

double DrawLogit(uint64_t kind, std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  switch (kind % 5) {
    case 0:
      return normal(random);
    case 1:
      return 10 * normal(random);
    case 2:
      return 1e-3 * normal(random);
    case 3:
      return std::round(2 * normal(random));
    default:
      return random() % 8 == 0 ? -kInfinity : 1000 + 3 * normal(random);
  }
}

template <typename T>
class IndexedTest : public ::testing::Test {
 protected:
  void Check(const LossSpec& spec, uint64_t seed, int64_t classes) {
    std::mt19937_64 random(seed);
    SpecBatch<T> batch{3, classes};
    for (int64_t r = 0; r < batch.rows; ++r) {
      batch.labels.push_back(static_cast<int64_t>(random() % classes));
      for (int64_t i = 0; i < classes; ++i) {
        double z = DrawLogit(seed + r, random);
        if (std::isinf(z) && i == batch.labels[r]) z = 1000;
        batch.logits.push_back(compute::FromDouble<T>(z));
      }
    }
    batch.options.reduction = compute::Reduction::kSum;
    if (seed % 2 == 0) {
      batch.row_weights = {0.3, 1.7, 0};
      batch.upstream = {-2.5, 1e-3, 4};
    }
    const SpecRun<T> run = MustRun(spec, batch);
    ExactReal sum = Real(0);
    for (int64_t r = 0; r < batch.rows; ++r) {
      sum = sum + CheckRow(spec, batch, run, r);
    }
    EXPECT_LE(RelativeError(*run.summary.loss, sum), 0x1p-40);
  }

  double worst() const { return worst_; }

 private:
  template <typename Loss>
  static ExactLoss OracleOf(const Loss& loss, const std::vector<double>& z,
                            int64_t label) {
    if constexpr (requires { Oracle(loss, z, label); }) {
      return Oracle(loss, z, label);
    } else {
      ADD_FAILURE() << "no oracle for this loss";
      return {Real(0), std::vector<ExactReal>(z.size(), Real(0))};
    }
  }
  ExactReal CheckRow(const LossSpec& spec, const SpecBatch<T>& batch,
                     const SpecRun<T>& run, int64_t r) {
    const double weight = batch.row_weights.empty() ? 1 : batch.row_weights[r];
    const double upstream = batch.upstream.empty() ? 1 : batch.upstream[r];
    std::vector<double> z;
    for (int64_t i = 0; i < batch.classes; ++i) {
      z.push_back(Wide(batch.logits[r * batch.classes + i]));
    }
    const ExactLoss want = std::visit(
        [&](const auto& loss) { return OracleOf(loss, z, batch.labels[r]); },
        spec);
    for (int64_t i = 0; i < batch.classes; ++i) {
      Expect(run.gradient[r * batch.classes + i],
             want.gradient[i] * Real(weight) * Real(upstream), r, i);
    }
    const ExactReal loss = want.loss * Real(weight);
    Expect(run.row_losses[r], loss, r, -1);
    return loss;
  }
  void Expect(T computed, const ExactReal& want, int64_t r, int64_t i) {
    const double ulps = ErrorInUlps(computed, want);
    worst_ = std::max(worst_, ulps);
    EXPECT_LE(ulps, 1.0) << "row " << r << ", class " << i << ": "
                         << Wide(computed) << ", want "
                         << Wide(RoundTo<T>(want));
  }

  double worst_ = 0;
};
using Types = ::testing::Types<float, Float16, BFloat16, double>;
TYPED_TEST_SUITE(IndexedTest, Types);

std::vector<LossSpec> Specs(absl::Span<const double> weights) {
  return {NegativeLogLikelihood(),
          NegativeLogLikelihood{.class_weights = weights},
          SoftmaxFocal(),
          SoftmaxFocal{.gamma = 0, .class_weights = weights},
          SoftmaxFocal{.gamma = 0.5},
          SoftmaxFocal{.gamma = 7.3, .class_weights = weights},
          MulticlassHinge(),
          MulticlassHinge{.margin = 0.3, .power = 2},
          MulticlassHinge{.margin = -1.5}};
}

TYPED_TEST(IndexedTest, IsWithinOneUlp) {
  std::vector<double> weights;
  for (int i = 0; i < 70; ++i) weights.push_back(i % 7 == 0 ? 0 : 0.3 * i);
  for (uint64_t seed = 1; seed <= 70; ++seed) {
    const auto classes = static_cast<int64_t>(seed);
    const auto of_classes = absl::MakeConstSpan(weights).first(classes);
    const std::vector<LossSpec> specs = Specs(of_classes);
    for (size_t i = seed % 2; i < specs.size(); i += 2) {
      this->Check(specs[i], seed, classes);
    }
  }
  std::cout << "worst " << this->worst() << " ulp\n";
}

// Rows that are worked on in several parts, the last one short.
TYPED_TEST(IndexedTest, IsWithinOneUlpOfLongRows) {
  std::vector<double> weights;
  for (int i = 0; i < 2100; ++i) weights.push_back(1 + i % 11);
  for (const LossSpec& spec : Specs(weights)) this->Check(spec, 6, 2100);
}

// A large gamma raises the errors of the logarithm that it multiplies.
TYPED_TEST(IndexedTest, KeepsTheBatchsLossOfNarrowTypesForALargeGamma) {
  for (uint64_t seed = 1; seed <= 70; ++seed) {
    for (const double gamma : {40.0, 300.0}) {
      if (sizeof(TypeParam) == sizeof(double)) continue;
      this->Check(SoftmaxFocal{.gamma = gamma}, seed,
                  static_cast<int64_t>(seed));
    }
  }
}

TYPED_TEST(IndexedTest, HasTheSameBitsEverywhere) {
  const std::string best(compute::ActiveKernel());
  std::mt19937_64 random(1);
  for (const LossSpec& spec : Specs({})) {
    SpecBatch<TypeParam> batch{41, 37};
    for (int64_t r = 0; r < batch.rows; ++r) {
      batch.labels.push_back(r % 37);
      for (int64_t i = 0; i < batch.classes; ++i) {
        batch.logits.push_back(
            compute::FromDouble<TypeParam>(DrawLogit(r % 4, random)));
      }
    }
    const SpecRun<TypeParam> want = MustRun(spec, batch);
    for (const std::string& kernel : compute::AvailableKernels()) {
      compute::SelectKernel(kernel);
      for (const int threads : {1, 3}) {
        batch.threads = threads;
        const SpecRun<TypeParam> run = MustRun(spec, batch);
        EXPECT_TRUE(SameBits(run.gradient, want.gradient)) << kernel;
        EXPECT_TRUE(SameBits(run.row_losses, want.row_losses)) << kernel;
        EXPECT_EQ(run.predictions, want.predictions) << kernel;
        EXPECT_TRUE(SameBits(*run.summary.loss, *want.summary.loss)) << kernel;
      }
    }
    compute::SelectKernel(best);
  }
}

// Without focusing it is cross-entropy, margins of any size included.
TEST(SoftmaxFocalTest, IsCrossEntropyForGammaZero) {
  SpecBatch<double> batch{1, 2, {800, 0}, {}, {0}};
  const SpecRun<double> right = MustRun(SoftmaxFocal{.gamma = 0}, batch);
  EXPECT_LT(right.row_losses[0], 1e-300);
  batch.labels = {1};
  const SpecRun<double> wrong = MustRun(SoftmaxFocal{.gamma = 0}, batch);
  EXPECT_EQ(wrong.row_losses[0], 800);
  EXPECT_EQ(wrong.gradient, (std::vector<double>{1, -1}));
}

// 2^-600 and the like, that no factor of the engine may take for 0.
TEST(SoftmaxFocalTest, KeepsItsSmallGradients) {
  SpecBatch<double> batch{1, 2, {0, 0}, {}, {0}};
  batch.options.reduction = compute::Reduction::kSum;
  for (const double gamma : {500.0, 560.0, 600.0, 900.0}) {
    const SoftmaxFocal loss{.gamma = gamma};
    const SpecRun<double> run = MustRun(loss, batch);
    const ExactLoss want = Oracle(loss, {0, 0}, 0);
    EXPECT_LE(ErrorInUlps(run.gradient[0], want.gradient[0]), 1.0) << gamma;
    EXPECT_LE(ErrorInUlps(run.gradient[1], want.gradient[1]), 1.0) << gamma;
    EXPECT_LE(ErrorInUlps(run.row_losses[0], want.loss), 1.0) << gamma;
  }
}

TEST(SoftmaxFocalTest, HasNothingToSayOfASingleClass) {
  SpecBatch<float> batch{2, 1, {3, -5}, {}, {0, 0}};
  for (const double gamma : {0.0, 0.5, 1.0, 2.0}) {
    const SpecRun<float> run = MustRun(SoftmaxFocal{.gamma = gamma}, batch);
    EXPECT_EQ(run.summary.loss, 0.0) << gamma;
    EXPECT_EQ(run.gradient, (std::vector<float>{0, 0})) << gamma;
  }
}

TEST(SoftmaxFocalTest, IsInfiniteForAnImpossibleLabel) {
  SpecBatch<float> batch{1, 3, {-INFINITY, 0, 0}, {}, {0}};
  const SpecRun<float> run = MustRun(SoftmaxFocal(), batch);
  EXPECT_EQ(run.summary.loss, kInfinity);
  EXPECT_EQ(run.gradient, (std::vector<float>{-1, 0.5, 0.5}));
}

TEST(SoftmaxFocalTest, RejectsARowWithoutAPossibleClass) {
  SpecBatch<float> batch{1, 2, {-INFINITY, -INFINITY}, {}, {0}};
  EXPECT_EQ(RunSpec(SoftmaxFocal(), batch).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(MulticlassHingeTest, IsInfiniteForAnImpossibleLabel) {
  SpecBatch<float> batch{1, 3, {-INFINITY, 0, -INFINITY}, {}, {0}};
  const SpecRun<float> run = MustRun(MulticlassHinge(), batch);
  EXPECT_EQ(run.summary.loss, kInfinity);
  EXPECT_EQ(run.gradient, (std::vector<float>{-0.5, 0.5, 0}));
}

// The distance alone, -1 + 2^-39, has 13 bits left for what the margin leaves.
TEST(MulticlassHingeTest, KeepsWhatTheMarginLeavesOfADistance) {
  SpecBatch<float> batch{1, 2, {1.0f, 0x1.fffffep-40f}};
  batch.labels = {0};
  EXPECT_THAT(MustRun(MulticlassHinge{.power = 2}, batch).gradient,
              ::testing::ElementsAre(-0x1.fffffep-39f, 0x1.fffffep-39f));
  EXPECT_EQ(MustRun(MulticlassHinge(), batch).row_losses[0], 0x1.fffffep-40f);
}

TEST(MulticlassHingeTest, IsClosedAtTheMargin) {
  SpecBatch<double> batch{1, 2, {1, 0}, {}, {0}};
  EXPECT_EQ(MustRun(MulticlassHinge(), batch).gradient,
            (std::vector<double>{0, 0}));
  batch.logits[1] = 0x1p-53;
  EXPECT_EQ(MustRun(MulticlassHinge(), batch).gradient,
            (std::vector<double>{-1, 1}));
  EXPECT_EQ(MustRun(MulticlassHinge(), batch).row_losses[0], 0x1p-53);
}

TEST(NegativeLogLikelihoodTest, TakesNoAccountOfIgnoredRows) {
  SpecBatch<float> batch{3, 2, {-1, -2, NAN, 0, -INFINITY, -3}, {}, {1, 9, 0}};
  const SpecRun<float> run =
      MustRun(NegativeLogLikelihood{.ignore_index = 9}, batch);
  EXPECT_EQ(run.row_losses, (std::vector<float>{2, 0, HUGE_VALF}));
  EXPECT_EQ(run.gradient, (std::vector<float>{0, -0.5, 0, 0, -0.5, 0}));
  EXPECT_EQ(run.summary.row_count, 2);
  EXPECT_EQ(run.summary.divisor, 2.0);
}

}  // namespace
}  // namespace lossd::testing
