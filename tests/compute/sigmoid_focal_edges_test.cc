// The sigmoid focal loss's options and edges.
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/compute/sigmoid_focal_oracle.h"

namespace lossd::testing {
namespace {

using compute::SigmoidCrossEntropy;
using compute::SigmoidFocal;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

SpecBatch<double> SmallBatch() {
  SpecBatch<double> batch{
      2, 3, {2, 1, 0.1, -1.5, 3, 0}, {1, 0, 0.5, 0, 1, 0.25}};
  batch.options.reduction = compute::Reduction::kSum;
  return batch;
}

template <typename T>
void ExpectWithinOneUlp(const SigmoidFocal& loss, double z, double t) {
  SpecBatch<T> batch{1, 1, {compute::FromDouble<T>(z)}, {t}};
  batch.options.reduction = compute::Reduction::kSum;
  const SpecRun<T> run = MustRun(loss, batch);
  const ExactElement want = SigmoidFocalOracle(loss, z, t);
  EXPECT_LE(ErrorInUlps(run.gradient[0], want.slope), 1.0)
      << z << ", " << t << ": " << Wide(run.gradient[0]);
  // Terms are added where they are subnormal already.
  const bool is_subnormal =
      sizeof(T) == 8 && mpfr_cmp_d(want.term.get(), 0x1p-1020) < 0;
  EXPECT_LE(ErrorInUlps(run.row_losses[0], want.term), is_subnormal ? 1.5 : 1.0)
      << z << ", " << t << ": " << Wide(run.row_losses[0]);
}

TEST(SigmoidFocalEdgesTest, IsSigmoidCrossEntropyForGammaZero) {
  const SpecRun<double> focal = MustRun(SigmoidFocal{.gamma = 0}, SmallBatch());
  const SpecRun<double> plain = MustRun(SigmoidCrossEntropy(), SmallBatch());
  for (size_t i = 0; i < focal.gradient.size(); ++i) {
    EXPECT_LE(UlpDistance(focal.gradient[i], plain.gradient[i]), 1);
  }
  for (size_t r = 0; r < focal.row_losses.size(); ++r) {
    EXPECT_LE(UlpDistance(focal.row_losses[r], plain.row_losses[r]), 1);
  }
}

// Half of it is taken off where alpha is 1/2.
TEST(SigmoidFocalEdgesTest, WeighsByAlpha) {
  const SpecRun<double> plain = MustRun(SigmoidFocal(), SmallBatch());
  const SpecRun<double> half =
      MustRun(SigmoidFocal{.alpha = 0.5}, SmallBatch());
  const SpecRun<double> ones = MustRun(SigmoidFocal{.alpha = 1}, SmallBatch());
  for (size_t i = 0; i < plain.gradient.size(); ++i) {
    EXPECT_EQ(half.gradient[i], plain.gradient[i] / 2);
    const double t = SmallBatch().targets[i];
    EXPECT_DOUBLE_EQ(ones.gradient[i], plain.gradient[i] * t);
  }
  EXPECT_EQ(*half.summary.loss, *plain.summary.loss / 2);
}

TEST(SigmoidFocalEdgesTest, CountsWhatIsRightLessForALargerGamma) {
  double last = std::numeric_limits<double>::infinity();
  for (const double gamma : {0.0, 0.5, 1.0, 2.0, 3.0, 100.0}) {
    const double loss =
        *MustRun(SigmoidFocal{.gamma = gamma}, SmallBatch()).summary.loss;
    EXPECT_LT(loss, last) << gamma;
    last = loss;
  }
}

TEST(SigmoidFocalEdgesTest, HasGammaTwoByDefault) {
  EXPECT_EQ(MustRun(SigmoidFocal(), SmallBatch()).gradient,
            MustRun(SigmoidFocal{.gamma = 2}, SmallBatch()).gradient);
}

// What is multiplied and what is raised to a power meet.
TEST(SigmoidFocalEdgesTest, HasNoStepWhereThePowerIsAMultiplication) {
  for (const double gamma : {1.0, 2.0}) {
    const SpecRun<double> at =
        MustRun(SigmoidFocal{.gamma = gamma}, SmallBatch());
    const SpecRun<double> past =
        MustRun(SigmoidFocal{.gamma = std::nextafter(gamma, 9)}, SmallBatch());
    for (size_t i = 0; i < at.gradient.size(); ++i) {
      EXPECT_NEAR(at.gradient[i], past.gradient[i],
                  4e-15 * std::abs(at.gradient[i]));
    }
  }
}

TEST(SigmoidFocalEdgesTest, HoldsGammaToItsRange) {
  for (const double gamma : {0.0, 0x1p-100, 0x1p100}) {
    EXPECT_TRUE(RunSpec(SigmoidFocal{.gamma = gamma}, SmallBatch()).ok());
  }
  for (const double gamma :
       {std::nextafter(0x1p-100, 0), -1.0, std::nextafter(0x1p100, HUGE_VAL),
        HUGE_VAL, kNan}) {
    const auto run = RunSpec(SigmoidFocal{.gamma = gamma}, SmallBatch());
    EXPECT_EQ(run.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(run.status().message()), HasSubstr("gamma"));
  }
}

TEST(SigmoidFocalEdgesTest, HoldsAlphaToItsRange) {
  for (const double alpha : {0.0, 5e-324, 1.0}) {
    EXPECT_TRUE(RunSpec(SigmoidFocal{.alpha = alpha}, SmallBatch()).ok());
  }
  for (const double alpha : {-5e-324, std::nextafter(1, 2), kNan}) {
    const auto run = RunSpec(SigmoidFocal{.alpha = alpha}, SmallBatch());
    EXPECT_EQ(run.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(run.status().message()), HasSubstr("alpha"));
  }
}

TEST(SigmoidFocalEdgesTest, HoldsTargetsToTheirRange) {
  SpecBatch<double> batch = SmallBatch();
  for (const double target : {-5e-324, std::nextafter(1, 2), kNan}) {
    batch.targets[4] = target;
    const auto run = RunSpec(SigmoidFocal(), batch);
    EXPECT_EQ(run.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(run.status().message()), HasSubstr("[0, 1]"));
  }
}

TEST(SigmoidFocalEdgesTest, HasNoSlopeHalfWayBetweenTheClasses) {
  for (const double gamma : {0.0, 0.5, 1.0, 2.0, 17.0, 0x1p100}) {
    SpecBatch<double> batch{1, 1, {0}, {0.5}};
    EXPECT_EQ(MustRun(SigmoidFocal{.gamma = gamma}, batch).gradient[0], 0.0);
    batch = {1, 1, {1e-300}, {0.5}};
    EXPECT_EQ(MustRun(SigmoidFocal{.gamma = gamma}, batch).gradient[0] > 0.0,
              gamma < 0x1p100);
  }
}

// Results near and below the smallest normal number, from a power, an
// exponential, or a target.
TEST(SigmoidFocalEdgesTest, UnderflowsGradually) {
  for (const double gamma : {0.0, 0x1p-100, 0.25, 1.0, 1.5, 2.0, 20.0}) {
    const double last = 745.2 / (1 + gamma);
    for (double size = last - 40 / (1 + gamma); size < last + 5; size += 0.7) {
      ExpectWithinOneUlp<double>({.gamma = gamma}, -size, 0);
      ExpectWithinOneUlp<double>({.gamma = gamma}, size, 1);
    }
  }
  for (double gamma = 900; gamma < 1090; gamma += 1.5) {
    ExpectWithinOneUlp<double>({.gamma = gamma}, 0, 1);
    ExpectWithinOneUlp<double>({.gamma = gamma}, 0, 0.625);
  }
  for (const float z : {-100.f, -103.f, 30.f, 34.f, 35.f}) {
    ExpectWithinOneUlp<float>({.gamma = z < 0 ? 0.03125 : 2}, z, z > 0);
  }
}

// -gamma ln m is small where the class is all but impossible, and gamma is not.
TEST(SigmoidFocalEdgesTest, KeepsTheLastDigitsOfARestNextToOne) {
  for (const double gamma : {0x1p20, 0x1p40, 0x1p60, 0x1p100}) {
    const double at = std::log(gamma);
    for (const double z : {at - 6, at, at + 30}) {
      ExpectWithinOneUlp<double>({.gamma = gamma}, z, 0);
      const float narrow = static_cast<float>(z);
      ExpectWithinOneUlp<float>({.gamma = gamma}, narrow, 0);
      ExpectWithinOneUlp<float>({.gamma = gamma}, -narrow, 1);
    }
  }
}

TEST(SigmoidFocalEdgesTest, TakesTheLargestLogits) {
  for (const double gamma : {0.0, 1.0, 2.0, 3.5, 24.0}) {
    for (const double t : {0.0, 1.0, 0.5, 0x1p-40, 0x1p-300, 0x1p-1074}) {
      ExpectWithinOneUlp<double>({.gamma = gamma}, -1.7e308, t);
      ExpectWithinOneUlp<double>({.gamma = gamma}, 1.7e308, t);
      ExpectWithinOneUlp<double>({.gamma = gamma}, -1000.5, t);
      ExpectWithinOneUlp<double>({.gamma = gamma}, -695.25, t);
      ExpectWithinOneUlp<float>({.gamma = gamma}, -0x1.8p127, t);
      ExpectWithinOneUlp<float>({.gamma = gamma}, 0x1.8p127, t);
      ExpectWithinOneUlp<float>({.gamma = gamma}, -0x1.8p9, t);
    }
  }
}

// Loss +inf, and of the slope what is left: -a t^(gamma + 1).
TEST(SigmoidFocalEdgesTest, TakesImpossibleClasses) {
  for (const double gamma : {0.0, 0.3, 1.0, 2.0, 40.0}) {
    const SigmoidFocal loss{.gamma = gamma, .alpha = 0.3};
    SpecBatch<double> batch{3,
                            2,
                            {-HUGE_VAL, 1, -HUGE_VAL, 0, -HUGE_VAL, -HUGE_VAL},
                            {0, 1, 0.7, 1, 1, 0}};
    batch.row_weights = {1, 3, 1};
    batch.options.reduction = compute::Reduction::kNone;
    const SpecRun<double> run = MustRun(loss, batch);
    EXPECT_EQ(run.gradient[0], 0.0);
    const ExactElement other = SigmoidFocalOracle(loss, 1, 1);
    EXPECT_LE(ErrorInUlps(run.row_losses[0], other.term / Real(2)), 1.0);
    const ExactReal t = Real(0.7), a = Real(0.3);
    const ExactReal weight = a * t + (Real(1) - a) * (Real(1) - t);
    EXPECT_LE(ErrorInUlps(run.gradient[2],
                          Real(-1.5) * weight * Power(t, Real(gamma + 1))),
              1.0);
    EXPECT_EQ(run.row_losses[1], HUGE_VAL);
    EXPECT_EQ(run.gradient[4], -0.3 / 2);
    EXPECT_EQ(run.gradient[5], 0.0);
    EXPECT_EQ(run.row_losses[2], HUGE_VAL);
  }
}

// 0 times infinity is no NaN.
TEST(SigmoidFocalEdgesTest, HasNoLossOfAnImpossibleClassThatAlphaLeavesOut) {
  const SpecBatch<float> batch{1, 2, {-HUGE_VALF, 0}, {1, 0}};
  const SpecRun<float> run = MustRun(SigmoidFocal{.alpha = 0}, batch);
  EXPECT_EQ(run.gradient[0], 0.0f);
  EXPECT_FLOAT_EQ(run.row_losses[0], std::log(2.0f) / 8);
}

TEST(SigmoidFocalEdgesTest, PropagatesNanInItsRowOnly) {
  SpecBatch<double> batch = SmallBatch();
  batch.logits[1] = kNan;
  EXPECT_EQ(RunSpec(SigmoidFocal(), batch).status().code(),
            absl::StatusCode::kInvalidArgument);
  batch.options.non_finite_policy = compute::NonFinitePolicy::kPropagate;
  const SpecRun<double> run = MustRun(SigmoidFocal(), batch);
  const SpecRun<double> want = MustRun(SigmoidFocal(), SmallBatch());
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(std::isnan(run.gradient[i]));
    EXPECT_EQ(run.gradient[3 + i], want.gradient[3 + i]);
  }
  EXPECT_TRUE(std::isnan(run.row_losses[0]));
  EXPECT_EQ(run.row_losses[1], want.row_losses[1]);
}

TEST(SigmoidFocalEdgesTest, PredictsTheLargestLogit) {
  EXPECT_THAT(MustRun(SigmoidFocal(), SmallBatch()).predictions,
              ElementsAre(0, 1));
}

}  // namespace
}  // namespace lossd::testing
