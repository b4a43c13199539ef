// The option logit_softcap: z -> k tanh(z / k), before the scale.
#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "server/compute/kernel.h"
#include "tests/support/accuracy.h"
#include "tests/support/draw_options.h"
#include "tests/support/elements.h"
#include "tests/support/exact_real.h"
#include "tests/support/loss_runner.h"

namespace lossd::testing {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

const TestBatch<double> kBatch = {2, 3, {2, 1, 0.1, 0, 0.5, -1}, {0, 2}};

RunSettings Capped(double cap) {
  RunSettings settings;
  settings.loss.logit_softcap = cap;
  return settings;
}

TEST(SoftcapTest, HasAnEffectOnEveryResult) {
  const LossRun<double> plain = MustRunLoss(kBatch);
  const LossRun<double> run = MustRunLoss(kBatch, Capped(2));
  EXPECT_NE(*run.summary.loss, *plain.summary.loss);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_NE(run.gradient[i], plain.gradient[i]) << i;
    EXPECT_NE(run.probabilities[i], plain.probabilities[i]) << i;
    EXPECT_NE(run.log_probabilities[i], plain.log_probabilities[i]) << i;
  }
  EXPECT_NE(run.row_losses, plain.row_losses);
  EXPECT_NE(run.log_sum_exp, plain.log_sum_exp);
  EXPECT_EQ(run.predictions, plain.predictions);  // tanh keeps the order
}

TEST(SoftcapTest, TakesTheEndsOfItsRangeAndNothingBeyond) {
  for (const double cap : {1e-6, 1e6}) {
    EXPECT_TRUE(RunLoss(kBatch, Capped(cap)).ok()) << cap;
  }
  for (const double cap : {std::nextafter(1e-6, 0), std::nextafter(1e6, 2e6),
                           0.0, -2.0, kNan, kInfinity}) {
    EXPECT_EQ(RunLoss(kBatch, Capped(cap)).status().code(),
              absl::StatusCode::kInvalidArgument)
        << cap;
  }
}

// The formula in doubles, whose tanh is good to a few ulp.
TEST(SoftcapTest, CapsBeforeTheScaleAndFollowsTheChainRule) {
  RunSettings settings = Capped(2);
  settings.loss.logit_scale = 3;
  settings.options.reduction = compute::Reduction::kSum;
  const LossRun<double> run = MustRunLoss(kBatch, settings);
  double loss = 0;
  for (int r = 0; r < 2; ++r) {
    double a[3], sum = 0;
    for (int c = 0; c < 3; ++c) {
      a[c] = 3 * 2 * std::tanh(kBatch.logits[3 * r + c] / 2);
      sum += std::exp(a[c]);
    }
    const int64_t y = kBatch.labels[r];
    loss += std::log(sum) - a[y];
    for (int c = 0; c < 3; ++c) {
      const double t = std::tanh(kBatch.logits[3 * r + c] / 2);
      const double p = std::exp(a[c]) / sum;
      EXPECT_NEAR(run.gradient[3 * r + c],
                  (1 - t * t) * 3 * (p - (c == y ? 1 : 0)), 1e-14);
      EXPECT_NEAR(run.probabilities[3 * r + c], p, 1e-14);
    }
    EXPECT_NEAR(run.log_sum_exp[r], std::log(sum), 1e-14);
  }
  EXPECT_NEAR(*run.summary.loss, loss, 1e-13);
}

// Far inside the cap tanh(x) is x: at the range's upper end float32's results
// are those without a cap.
TEST(SoftcapTest, OfAMillionIsNoneForFloat32) {
  const TestBatch<float> batch = {2, 3, Narrowed<float>(kBatch.logits),
                                  kBatch.labels};
  const LossRun<float> plain = MustRunLoss(batch);
  const LossRun<float> run = MustRunLoss(batch, Capped(1e6));
  EXPECT_EQ(run.gradient, plain.gradient);
  EXPECT_EQ(run.row_losses, plain.row_losses);
  EXPECT_EQ(run.log_sum_exp, plain.log_sum_exp);
}

// Logits far beyond the cap are all the same, and have no gradient; with a
// scale no capped logit leaves float64's range.
TEST(SoftcapTest, MakesLogitsBeyondItEqual) {
  RunSettings settings = Capped(0.5);
  settings.loss.logit_scale = 1e6;
  const TestBatch<double> batch = {1, 3, {1e308, 1e307, 1e3}, {1}};
  const LossRun<double> run = MustRunLoss(batch, settings);
  EXPECT_EQ(run.probabilities, std::vector<double>(3, 1.0 / 3));
  EXPECT_EQ(run.gradient, std::vector<double>(3, 0.0));
  EXPECT_EQ(*run.summary.loss, std::log(3.0));
  EXPECT_DOUBLE_EQ(run.log_sum_exp[0], 5e5 + std::log(3.0));
  EXPECT_EQ(run.predictions[0], 0);
  // Without a cap that is refused.
  settings.loss.logit_softcap.reset();
  EXPECT_FALSE(RunLoss(batch, settings).ok());
}

TEST(SoftcapTest, PredictsTheLowestOfEqualLogitsAndNotOfEqualCappedOnes) {
  const TestBatch<double> batch = {2, 3, {4, 5, 5, 800, 900, 900}, {1, 1}};
  const LossRun<double> run = MustRunLoss(batch, Capped(1));
  EXPECT_EQ(run.predictions, (std::vector<int64_t>{1, 1}));
  EXPECT_EQ(run.summary.correct_count, 2);
}

template <typename T>
class SoftcapTypesTest : public ::testing::Test {};
using Types =
    ::testing::Types<float, double, compute::Float16, compute::BFloat16>;
TYPED_TEST_SUITE(SoftcapTypesTest, Types);

// Against the oracle; loss_softcap_accuracy_test has many more.
TYPED_TEST(SoftcapTypesTest, IsWithinOneUlp) {
  AccuracyReport report;
  uint64_t seed = 0;
  for (const Distribution distribution : AllDistributions()) {
    for (const double cap : {0.5, 30.0}) {
      RunSettings settings = Capped(cap);
      MeasureAccuracy<TypeParam>(distribution, 2, 17, ++seed, settings, report);
    }
    for (int i = 0; i < 3; ++i) {
      ++seed;
      MeasureAccuracy<TypeParam>(distribution, 2, 5, seed,
                                 DrawCappedOptions(seed, 2, 5), report);
    }
  }
  ExpectAccurate("softcap", report, 1);
}

// A logit of -inf is a mask: its class stays impossible, though tanh(-inf) is
// -1, and has no gradient, also where it has a target.
TYPED_TEST(SoftcapTypesTest, KeepsMaskedClassesImpossible) {
  const std::vector<double> logits = {1, -kInfinity, 2};
  const TestBatch<TypeParam> batch = {1, 3, Narrowed<TypeParam>(logits), {0}};
  const TestBatch<TypeParam> without = {1, 2, Narrowed<TypeParam>({1, 2}), {0}};
  const LossRun<TypeParam> run = MustRunLoss(batch, Capped(2));
  const LossRun<TypeParam> want = MustRunLoss(without, Capped(2));
  EXPECT_EQ(Wide(run.probabilities[1]), 0);
  EXPECT_EQ(Wide(run.log_probabilities[1]), -kInfinity);
  EXPECT_EQ(Wide(run.gradient[1]), 0);
  EXPECT_EQ(Wide(run.gradient[0]), Wide(want.gradient[0]));
  EXPECT_EQ(Wide(run.gradient[2]), Wide(want.gradient[1]));
  EXPECT_TRUE(SameBits(run.row_losses, want.row_losses));

  RunSettings smoothed = Capped(2);
  smoothed.loss.label_smoothing = 0.3;
  const LossRun<TypeParam> infinite = MustRunLoss(batch, smoothed);
  EXPECT_EQ(*infinite.summary.loss, kInfinity);
  EXPECT_EQ(Wide(infinite.gradient[1]), 0);
  EXPECT_TRUE(std::isfinite(Wide(infinite.gradient[0])));

  const TestBatch<TypeParam> on_mask = {1, 3, batch.logits, {1}};
  const LossRun<TypeParam> masked = MustRunLoss(on_mask, Capped(2));
  EXPECT_EQ(*masked.summary.loss, kInfinity);
  EXPECT_EQ(Wide(masked.gradient[1]), 0);
  EXPECT_GT(Wide(masked.gradient[0]), 0);
}

TYPED_TEST(SoftcapTypesTest, RefusesOrPropagatesWhatIsNotFinite) {
  for (const double odd : {kNan, kInfinity}) {
    const TestBatch<TypeParam> batch = {
        2, 2, Narrowed<TypeParam>({1, 2, 0, odd}), {0, 1}};
    RunSettings settings = Capped(2);
    EXPECT_FALSE(RunLoss(batch, settings).ok());
    settings.options.non_finite_policy = compute::NonFinitePolicy::kPropagate;
    const LossRun<TypeParam> run = MustRunLoss(batch, settings);
    EXPECT_TRUE(std::isnan(Wide(run.gradient[2])));
    EXPECT_TRUE(std::isnan(Wide(run.probabilities[3])));
    EXPECT_TRUE(std::isnan(Wide(run.row_losses[1])));
    const TestBatch<TypeParam> first = {
        1, 2, {batch.logits[0], batch.logits[1]}, {0}};
    EXPECT_EQ(Wide(run.row_losses[0]),
              Wide(MustRunLoss(first, settings).row_losses[0]));
  }
  const TestBatch<TypeParam> nothing = {
      1, 2, Narrowed<TypeParam>({-kInfinity, -kInfinity}), {0}};
  EXPECT_FALSE(RunLoss(nothing, Capped(2)).ok());
}

TYPED_TEST(SoftcapTypesTest, GivesTheSameBitsOnEveryKernelAndThreadCount) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    const int64_t classes = seed == 12 ? 70'001 : 1 + seed * 37 % 300;
    RunSettings settings = DrawCappedOptions(seed, 3, classes);
    const auto distribution =
        AllDistributions()[seed % AllDistributions().size()];
    const auto batch = DrawBatch<TypeParam>(distribution, 3, classes, seed);
    const LossRun<TypeParam> want = MustRunLoss(batch, settings);
    const std::string active(compute::ActiveKernel());
    for (const std::string& kernel : compute::AvailableKernels()) {
      if (seed == 12 && kernel != active) continue;
      compute::SelectKernel(kernel);
      for (const int threads : {1, 4}) {
        settings.threads = threads;
        EXPECT_TRUE(SameBits(MustRunLoss(batch, settings), want))
            << "seed " << seed << ", " << kernel << ", " << threads;
      }
    }
    compute::SelectKernel(active);
  }
}

TYPED_TEST(SoftcapTypesTest, DoesNotDependOnNeighboursOrOutputs) {
  const RunSettings all = Capped(3);
  const auto batch = DrawBatch<TypeParam>(Distribution::kNormal5, 3, 40, 1);
  const LossRun<TypeParam> want = MustRunLoss(batch, all);
  for (unsigned output :
       {kGradient, kProbabilities, kLogProbabilities, kRowLosses, kLogSumExp}) {
    RunSettings one = all;
    one.outputs = output;
    const LossRun<TypeParam> run = MustRunLoss(batch, one);
    const bool is_same =
        (run.gradient.empty() || SameBits(run.gradient, want.gradient)) &&
        (run.probabilities.empty() ||
         SameBits(run.probabilities, want.probabilities)) &&
        (run.log_probabilities.empty() ||
         SameBits(run.log_probabilities, want.log_probabilities)) &&
        (run.row_losses.empty() || SameBits(run.row_losses, want.row_losses)) &&
        (run.log_sum_exp.empty() ||
         SameBits(run.log_sum_exp, want.log_sum_exp));
    EXPECT_TRUE(is_same) << output;
    EXPECT_EQ(*run.summary.loss, *want.summary.loss) << output;
  }
}

}  // namespace
}  // namespace lossd::testing
