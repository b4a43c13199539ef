// Products of Hessians and vectors: what holds for every loss, and edges.
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/compute/hessian_batches.h"
#include "tests/support/elements.h"
#include "tests/support/exact_real.h"
#include "tests/support/hessian_oracle.h"
#include "tests/support/hessian_runner.h"

namespace lossd::testing {
namespace {

using compute::Huber;
using compute::KlDivergence;
using compute::LossSpec;
using compute::MulticlassHinge;
using compute::NegativeLogLikelihood;
using compute::Reduction;
using compute::SigmoidCrossEntropy;
using compute::SigmoidFocal;
using compute::SoftmaxCrossEntropy;
using compute::SoftmaxFocal;
using compute::SquaredError;
using ::testing::Each;
using ::testing::ElementsAre;

// H of row r, column by column.
std::vector<Doubles> DenseHessian(const LossSpec& spec,
                                  const SpecBatch<double>& batch, int64_t r) {
  std::vector<Doubles> columns;
  for (int64_t j = 0; j < batch.classes; ++j) {
    Doubles unit(batch.logits.size(), 0);
    unit[r * batch.classes + j] = 1;
    const Doubles product = MustRunHessian(spec, batch, unit);
    columns.push_back({product.begin() + r * batch.classes,
                       product.begin() + (r + 1) * batch.classes});
  }
  return columns;
}

TEST(HessianTest, IsSymmetric) {
  ForEachLoss([](const LossSpec& spec, const SpecBatch<double>& batch) {
    for (int64_t r = 0; r < 3; ++r) {
      const std::vector<Doubles> h = DenseHessian(spec, batch, r);
      for (size_t i = 0; i < 5; ++i) {
        for (size_t j = 0; j < i; ++j) {
          EXPECT_LE(UlpDistance(h[i][j], h[j][i]), 1) << spec.index();
        }
      }
    }
  });
}

// The gradient's own central differences, along random directions.
TEST(HessianTest, IsTheGradientsDerivative) {
  ForEachLoss([](const LossSpec& spec, const SpecBatch<double>& batch) {
    std::mt19937_64 random(3);
    std::normal_distribution<double> normal;
    constexpr double kStep = 0x1p-17;
    SpecBatch<double> up = batch, down = batch;
    Doubles vector;
    for (size_t i = 0; i < batch.logits.size(); ++i) {
      vector.push_back(normal(random));
      up.logits[i] += kStep * vector[i];
      down.logits[i] -= kStep * vector[i];
    }
    const Doubles product = MustRunHessian(spec, batch, vector);
    const Doubles high = MustRun(spec, up).gradient;
    const Doubles low = MustRun(spec, down).gradient;
    for (size_t i = 0; i < vector.size(); ++i) {
      EXPECT_NEAR(product[i], (high[i] - low[i]) / (2 * kStep), 1e-9)
          << "loss " << spec.index() << ", element " << i;
    }
  });
}

// p o (v - p . v): softmax does not see a common shift.
TEST(HessianTest, TakesEqualComponentsToExactlyZero) {
  for (const LossSpec& spec : OfIndices()) {
    const auto* loss = std::get_if<SoftmaxCrossEntropy>(&spec);
    if (loss != nullptr && (loss->z_loss != 0 || loss->logit_softcap)) continue;
    for (const double v : {1.0, 0.1, -3e300, 1e-310}) {
      const Doubles product =
          MustRunHessian(spec, FiveClasses(false), Doubles(15, v));
      for (const double g : product) {
        EXPECT_TRUE(SameBits(g, 0.0)) << spec.index() << ": " << g;
      }
    }
  }
}

TEST(HessianTest, FollowsReductionAndFactors) {
  const Doubles vector = {1, 2, -1, 0, 4, 1, 0, 0, 1, 2, 3, 1, 5, -2, 0};
  const LossSpec spec = SoftmaxCrossEntropy();
  SpecBatch<double> batch = FiveClasses(false);
  batch.row_weights = batch.upstream = {};
  batch.options.reduction = Reduction::kNone;
  const Doubles own = MustRunHessian(spec, batch, vector);
  batch.options.reduction = Reduction::kSum;
  EXPECT_EQ(MustRunHessian(spec, batch, vector), own);
  batch.options.reduction = Reduction::kMean;
  batch.options.divisor = 4;
  batch.row_weights = {2, 8, 0};
  batch.upstream = {-1};
  const Doubles product = MustRunHessian(spec, batch, vector);
  for (int i = 0; i < 15; ++i) {
    const double factor = i < 5 ? -0.5 : i < 10 ? -2 : 0;
    EXPECT_EQ(product[i], factor * own[i]) << i;
  }
  batch.options.divisor.reset();  // 10, the sum of the weights
  EXPECT_DOUBLE_EQ(MustRunHessian(spec, batch, vector)[0], -0.2 * own[0]);
}

TEST(HessianTest, SeesEveryOption) {
  const Doubles vector = {1, 2, -1, 0, 4, 1, 0, 0, 1, 2, 3, 1, 5, -2, 0};
  const auto differ = [&](const LossSpec& a, const LossSpec& b,
                          bool has_targets) {
    const SpecBatch<double> batch = FiveClasses(has_targets);
    EXPECT_NE(MustRunHessian(a, batch, vector),
              MustRunHessian(b, batch, vector));
  };
  const SoftmaxCrossEntropy plain;
  differ(plain, SoftmaxCrossEntropy{.class_weights = kWeights}, false);
  differ(plain, SoftmaxCrossEntropy{.class_weights = kWeights}, true);
  differ(SoftmaxCrossEntropy{.class_weights = kWeights},
         SoftmaxCrossEntropy{.class_weights = kWeights, .label_smoothing = 0.1},
         false);
  differ(plain, SoftmaxCrossEntropy{.label_smoothing = 0.1}, true);
  differ(plain, SoftmaxCrossEntropy{.z_loss = 1e-3}, false);
  differ(plain, SoftmaxCrossEntropy{.logit_scale = 1.1}, false);
  differ(plain, SoftmaxCrossEntropy{.logit_softcap = 50}, false);
  differ(KlDivergence(), KlDivergence{.temperature = 1.1}, true);
  differ(KlDivergence(), KlDivergence{.targets_are_logits = true}, true);
  differ(SigmoidFocal(), SigmoidFocal{.gamma = 2.1}, true);
  differ(SigmoidFocal(), SigmoidFocal{.alpha = 0.25}, true);
  differ(plain, SoftmaxCrossEntropy{.ignore_index = 0}, false);
  differ(SoftmaxFocal(), SoftmaxFocal{.gamma = 2.1}, false);
  differ(SoftmaxFocal(), SoftmaxFocal{.class_weights = kWeights}, false);
  differ(SoftmaxFocal(), SoftmaxFocal{.ignore_index = 4}, false);
  differ(SigmoidCrossEntropy(),
         SigmoidCrossEntropy{.positive_weights = kWeights}, true);
  differ(
      SigmoidCrossEntropy{.positive_weights = kWeights},
      SigmoidCrossEntropy{.positive_weights = kWeights, .label_smoothing = 0.1},
      true);
  differ(Huber(), Huber{.delta = 0.5}, true);
}

TEST(HessianTest, GivesIgnoredRowsZeroWhateverTheyHold) {
  SpecBatch<double> batch{3, 2, {kNan, 0, 1, 2, 3, 4}, {}, {7, 0, 1}};
  batch.row_weights = {1, 1, 0};
  const Doubles vector = {kInfinity, kNan, 1, 2, 3, 4};
  for (const LossSpec& spec :
       std::vector<LossSpec>{SoftmaxCrossEntropy{.ignore_index = 7},
                             SoftmaxFocal{.ignore_index = 7},
                             NegativeLogLikelihood{.ignore_index = 7}}) {
    const Doubles product = MustRunHessian(spec, batch, vector);
    for (const int i : {0, 1, 4, 5}) EXPECT_TRUE(SameBits(product[i], 0.0));
  }
  EXPECT_NE(MustRunHessian(SoftmaxFocal{.ignore_index = 7}, batch, vector)[2],
            0.0);
}

// Nothing of an impossible class counts, however large its component.
TEST(HessianTest, TakesNoAccountOfImpossibleClasses) {
  SpecBatch<double> batch{1, 4, {-kInfinity, 1, 0, -kInfinity}, {}, {1}};
  for (const int64_t label : {1, 0}) {
    batch.labels = {label};
    for (const LossSpec& spec : std::vector<LossSpec>{
             SoftmaxCrossEntropy(), SoftmaxCrossEntropy{.z_loss = 1},
             SoftmaxCrossEntropy{.logit_softcap = 3}, SoftmaxFocal(),
             SoftmaxFocal{.gamma = 0.5}}) {
      const Doubles without = MustRunHessian(spec, batch, Doubles{0, 2, -1, 0});
      const Doubles with =
          MustRunHessian(spec, batch, Doubles{1e308, 2, -1, -1e-308});
      EXPECT_TRUE(SameBits(with, without));
      EXPECT_TRUE(SameBits(with[0], 0.0));
      EXPECT_TRUE(SameBits(with[3], 0.0));
      EXPECT_NE(with[1], 0.0);
    }
  }
  batch.labels = {};
  batch.targets = {0, 1, 0.5, 1};
  EXPECT_EQ(MustRunHessian(SigmoidCrossEntropy(), batch, Doubles(4, -1))[0], 0);
  EXPECT_EQ(MustRunHessian(SigmoidFocal(), batch, Doubles(4, -1))[0], 0);
  EXPECT_TRUE(
      SameBits(MustRunHessian(KlDivergence(), batch, Doubles{1e308, 2, -1, 0}),
               MustRunHessian(KlDivergence(), batch, Doubles{0, 2, -1, 1})));
  EXPECT_EQ(MustRunHessian(Huber(), batch, Doubles(4, -1))[0], 0);
  EXPECT_EQ(MustRunHessian(SquaredError(), batch, Doubles(4, -1)),
            Doubles(4, -0.5));
}

// Products of which float64's range holds the result, but not every step.
TEST(HessianTest, TakesVectorsOfAnySize) {
  SpecBatch<double> batch{1, 3, {0, 1, -2}, {}, {1}};
  const Doubles small = {0.5, -1, 0.25};
  for (const LossSpec& spec : std::vector<LossSpec>{
           SoftmaxCrossEntropy(), SoftmaxCrossEntropy{.z_loss = 1},
           SoftmaxFocal()}) {
    const Doubles want = MustRunHessian(spec, batch, small);
    for (const int exponent : {1023, 600, 301, -301, -600, -980}) {
      Doubles vector = small;
      for (double& v : vector) v = std::ldexp(v, exponent);
      const Doubles product = MustRunHessian(spec, batch, vector);
      for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(product[i], std::ldexp(want[i], exponent)) << exponent;
      }
    }
  }
}

// One class has all of the probability but e^-600: no digit cancels.
TEST(HessianTest, KeepsItsSmallProducts) {
  SpecBatch<double> batch{1, 3, {600, 0, -2}, {}, {0}};
  batch.options.reduction = Reduction::kSum;
  const Doubles vector = {1, 3, 0.3};
  for (const LossSpec& spec :
       std::vector<LossSpec>{SoftmaxCrossEntropy(), SoftmaxFocal{.gamma = 0.1},
                             SoftmaxFocal{.gamma = 0}}) {
    const Doubles product = MustRunHessian(spec, batch, vector);
    const ExactProduct want =
        OracleHessianProduct(spec, {batch.logits, 0}, vector);
    for (int i = 0; i < 3; ++i) {
      EXPECT_LE(ErrorInUlps(product[i], want.value[i]), 1.0) << i;
      EXPECT_NE(product[i], 0.0);
    }
  }
}

TEST(HessianTest, IsZeroForASingleClass) {
  SpecBatch<double> batch{2, 1, {3, -700}, {}, {0, 0}};
  for (const LossSpec& spec : std::vector<LossSpec>{
           SoftmaxCrossEntropy(), SoftmaxFocal(), SoftmaxFocal{.gamma = 0.5}}) {
    EXPECT_THAT(MustRunHessian(spec, batch, Doubles{1, 1e300}), Each(0.0));
  }
}

TEST(HessianTest, OfHuberEndsPastDelta) {
  SpecBatch<double> batch{1, 4, {2, 2.0000000000000004, -2, -3}, {0, 0, 0, 0}};
  EXPECT_THAT(MustRunHessian(Huber{.delta = 2}, batch, Doubles(4, 1)),
              ElementsAre(0.25, 0, 0.25, 0));
}

TEST(HessianTest, TakesZeroRows) {
  SpecBatch<double> batch{0, 3};
  EXPECT_TRUE(MustRunHessian(SoftmaxCrossEntropy(), batch, Doubles()).empty());
}

TEST(HessianTest, HingeHasNone) {
  EXPECT_FALSE(compute::HasHessian(MulticlassHinge()));
  for (const LossSpec& spec : OfIndices()) {
    EXPECT_TRUE(compute::HasHessian(spec));
  }
  for (const LossSpec& spec : OfTargets()) {
    EXPECT_TRUE(compute::HasHessian(spec));
  }
}

}  // namespace
}  // namespace lossd::testing
