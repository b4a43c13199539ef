// What each option does, by itself and beside the others.
#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/elements.h"
#include "tests/support/loss_runner.h"

namespace lossd::testing {
namespace {

using ::testing::Each;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

const TestBatch<double> kBatch = {2, 3, {2, 1, 0.1, 0, 0.5, -1}, {0, 2}};

TEST(LossOptionsTest, EachHaveAnEffect) {
  const LossRun<double> plain = MustRunLoss(kBatch);
  std::vector<RunSettings> all(7);
  all[0].class_weights = {1, 2, 3};
  all[1].loss.label_smoothing = 0.1;
  all[2].loss.z_loss = 1e-4;
  all[3].loss.logit_scale = 2;
  all[4].row_weights = {1, 3};
  all[5].target_probabilities = {0.5, 0.5, 0, 0, 0, 1};
  for (size_t i = 0; i < 6; ++i) {
    const LossRun<double> run = MustRunLoss(kBatch, all[i]);
    EXPECT_NE(*run.summary.loss, *plain.summary.loss) << i;
    EXPECT_NE(run.gradient, plain.gradient) << i;
  }
  all[6].upstream = {-2};
  const LossRun<double> run = MustRunLoss(kBatch, all[6]);
  EXPECT_EQ(*run.summary.loss, *plain.summary.loss);
  EXPECT_EQ(run.gradient[1], -2 * plain.gradient[1]);
}

// What PyTorch 1.13.1 gives for F.cross_entropy(z, y, weight, label_smoothing).
TEST(LossOptionsTest, WeighAndSmoothAsPyTorchDoes) {
  RunSettings settings;
  settings.class_weights = {1, 2, 0.5};
  settings.loss.label_smoothing = 0.1;
  const LossRun<double> run = MustRunLoss(kBatch, settings);
  // By the formula, in doubles.
  const double w[] = {1, 2, 0.5};
  double sum = 0;
  for (int r = 0; r < 2; ++r) {
    const double* z = kBatch.logits.data() + 3 * r;
    const double lse =
        std::log(std::exp(z[0]) + std::exp(z[1]) + std::exp(z[2]));
    const int64_t y = kBatch.labels[r];
    sum += 0.9 * w[y] * (lse - z[y]);
    for (int c = 0; c < 3; ++c) sum += 0.1 / 3 * w[c] * (lse - z[c]);
  }
  EXPECT_EQ(run.summary.divisor, 1.5);
  EXPECT_NEAR(*run.summary.loss, sum / 1.5, 1e-14);
}

TEST(LossOptionsTest, WeighTheDivisorByRowAndLabel) {
  RunSettings settings;
  settings.class_weights = {2, 0, 5};
  settings.row_weights = {3, 0.25};
  EXPECT_EQ(MustRunLoss(kBatch, settings).summary.divisor, 7.25);
  settings.target_probabilities = {1, 0, 0, 0, 0, 1};
  EXPECT_EQ(MustRunLoss(kBatch, settings).summary.divisor, 3.25);
}

// PyTorch's semantics, by hand: two classes of equal logits, so that both
// distances are ln 2 and both probabilities 1/2.
TEST(LossOptionsTest, FollowTheFormulaByHand) {
  const TestBatch<double> batch = {2, 2, {1, 1, -3, -3}, {0, 1}};
  const double ln2 = std::log(2.0);
  RunSettings settings;
  settings.class_weights = {3, 1};
  settings.loss.label_smoothing = 0.5;
  // q is (2.25, 0.25) for label 0 and (0.75, 0.75) for label 1; D = 4.
  LossRun<double> run = MustRunLoss(batch, settings);
  EXPECT_EQ(run.summary.divisor, 4);
  EXPECT_DOUBLE_EQ(run.row_losses[0], 2.5 * ln2);
  EXPECT_DOUBLE_EQ(run.row_losses[1], 1.5 * ln2);
  EXPECT_DOUBLE_EQ(*run.summary.loss, ln2);
  EXPECT_EQ(run.gradient, (std::vector<double>{-0.25, 0.25, 0, 0}));
  // As probabilities the same targets count once a row.
  settings.target_probabilities = {1, 0, 0, 1};
  run = MustRunLoss(batch, settings);
  EXPECT_EQ(run.summary.divisor, 2);
  EXPECT_DOUBLE_EQ(*run.summary.loss, 2 * ln2);
  EXPECT_EQ(run.gradient, (std::vector<double>{-0.5, 0.5, 0, 0}));
  EXPECT_EQ(run.summary.correct_count, 1);
  // z_loss: lse is 1 + ln 2 and -3 + ln 2, unweighted by class.
  settings = {};
  settings.class_weights = {3, 1};
  settings.loss.z_loss = 0.5;
  settings.row_weights = {2, 0};
  run = MustRunLoss(batch, settings);
  const double lse = 1 + ln2;
  EXPECT_EQ(run.summary.divisor, 6);
  EXPECT_DOUBLE_EQ(run.row_losses[0], 2 * (3 * ln2 + 0.5 * lse * lse));
  EXPECT_DOUBLE_EQ(run.gradient[0], (-1.5 + 0.5 * lse) / 3);
  EXPECT_DOUBLE_EQ(run.gradient[1], (1.5 + 0.5 * lse) / 3);
  EXPECT_EQ(run.row_losses[1], 0);
  EXPECT_EQ(run.gradient[2], 0);
  // The scale multiplies logits and gradient.
  settings = {};
  settings.loss.logit_scale = 4;
  settings.options.reduction = compute::Reduction::kSum;
  settings.upstream = {1, -2};
  run = MustRunLoss(batch, settings);
  EXPECT_EQ(run.gradient, (std::vector<double>{-2, 2, -4, 4}));
  EXPECT_DOUBLE_EQ(run.log_sum_exp[1], -12 + ln2);
  EXPECT_EQ(run.probabilities, std::vector<double>(4, 0.5));
}

TEST(LossOptionsTest, GiveProbabilitiesOfScaledLogitsAndOfNothingElse) {
  RunSettings settings;
  const LossRun<double> plain = MustRunLoss(kBatch, settings);
  settings.class_weights = {0, 2, 3};
  settings.loss.label_smoothing = 0.4;
  settings.loss.z_loss = 0.5;
  settings.row_weights = {0, 4};
  settings.upstream = {-3};
  settings.loss.ignore_index = 0;  // row 0's label
  const LossRun<double> run = MustRunLoss(kBatch, settings);
  EXPECT_TRUE(SameBits(run.probabilities, plain.probabilities));
  EXPECT_TRUE(SameBits(run.log_sum_exp, plain.log_sum_exp));
  settings.loss.logit_scale = 2;
  EXPECT_NE(MustRunLoss(kBatch, settings).probabilities, plain.probabilities);
}

TEST(LossOptionsTest, RoundTheGradientToItsOwnType) {
  const LossRun<double> plain = MustRunLoss(kBatch);
  for (const auto type :
       {compute::ElementType::kFloat16, compute::ElementType::kBFloat16,
        compute::ElementType::kFloat32}) {
    RunSettings settings;
    settings.gradient_type = type;
    const LossRun<double> run = MustRunLoss(kBatch, settings);
    EXPECT_EQ(run.gradient_wide, Rounded(plain.gradient, type));
    EXPECT_TRUE(SameBits(run.row_losses, plain.row_losses));
  }
}

TEST(LossOptionsTest, GiveNoGradientWhereNothingWeighsAnything) {
  RunSettings settings;
  settings.row_weights = {0, 0};
  const LossRun<double> run = MustRunLoss(kBatch, settings);
  EXPECT_EQ(run.summary.divisor, 0);
  EXPECT_EQ(run.summary.row_count, 2);
  EXPECT_TRUE(std::isnan(*run.summary.loss));
  EXPECT_EQ(run.gradient, std::vector<double>(6, 0.0));
}

TEST(LossOptionsTest, GiveNoGradientWhereNoLabelWeighsAnything) {
  RunSettings settings;
  settings.class_weights = {0, 7, 0};  // of none of the labels
  settings.loss.z_loss = 0.5;
  settings.loss.label_smoothing = 0.5;
  const LossRun<double> run = MustRunLoss(kBatch, settings);
  EXPECT_EQ(run.summary.divisor, 0);
  EXPECT_EQ(run.summary.row_count, 2);
  EXPECT_THAT(run.gradient, Each(0.0));
  settings.options.divisor = 1;
  EXPECT_NE(MustRunLoss(kBatch, settings).gradient[0], 0);
}

TEST(LossOptionsTest, MakeNoNanOfZeroTimesInfinity) {
  const TestBatch<double> batch = {1, 3, {-kInfinity, 1, 2}, {0}};
  RunSettings settings;
  settings.row_weights = {0};
  settings.options.divisor = 1;
  EXPECT_EQ(*MustRunLoss(batch, settings).summary.loss, 0);
  settings = {};
  settings.class_weights = {0, 1, 1};
  settings.options.divisor = 1;
  EXPECT_EQ(*MustRunLoss(batch, settings).summary.loss, 0);
  settings = {};
  EXPECT_EQ(*MustRunLoss(batch, settings).summary.loss, kInfinity);
  EXPECT_EQ(MustRunLoss(batch, settings).gradient[0], -1);
  settings.target_probabilities = {0, 0.5, 0.5};
  EXPECT_TRUE(std::isfinite(*MustRunLoss(batch, settings).summary.loss));
  settings.loss.label_smoothing = 0.1;
  EXPECT_EQ(*MustRunLoss(batch, settings).summary.loss, kInfinity);
}

template <typename T>
class ImpossibleTest : public ::testing::Test {};
using Types =
    ::testing::Types<float, double, compute::Float16, compute::BFloat16>;
TYPED_TEST_SUITE(ImpossibleTest, Types);

// Each factor that is 0 beside each infinite distance, for every type.
TYPED_TEST(ImpossibleTest, ClassesOfNoWeightMakeNoNan) {
  const TestBatch<TypeParam> batch = {
      1, 3, Narrowed<TypeParam>({-kInfinity, 1, 2}), {0}};
  std::vector<RunSettings> all(5);
  all[0].row_weights = {0};
  all[0].loss.z_loss = 1;
  all[1].class_weights = {0, 1, 1};
  all[1].loss.label_smoothing = 0.5;
  all[2].target_probabilities = {0, 0.5, 0.5};
  all[2].loss.z_loss = 1;
  all[3].target_probabilities = {0, 0, 0};
  all[4].class_weights = {0, 0, 0};
  for (RunSettings& settings : all) {
    settings.options.reduction = compute::Reduction::kSum;
    for (const double upstream : {1.0, 0.0}) {
      settings.upstream = {upstream};
      const LossRun<TypeParam> run = MustRunLoss(batch, settings);
      EXPECT_TRUE(std::isfinite(*run.summary.loss));
      EXPECT_TRUE(std::isfinite(Wide(run.row_losses[0])));
      EXPECT_EQ(Wide(run.gradient[0]), 0);
      EXPECT_EQ(Wide(run.probabilities[0]), 0);
      for (const TypeParam g : run.gradient) {
        EXPECT_TRUE(std::isfinite(Wide(g)));
      }
    }
  }
}

// With a weight on it the loss is infinite and its gradient -q.
TYPED_TEST(ImpossibleTest, ClassesOfAWeightMakeAnInfiniteLossAndAGradient) {
  const TestBatch<TypeParam> batch = {
      1, 3, Narrowed<TypeParam>({-kInfinity, 1, 1}), {1}};
  std::vector<RunSettings> all(3);
  all[0].loss.label_smoothing = 0.75;
  all[1].target_probabilities = {0.25, 0.75, 0};
  all[2].target_probabilities = {0.25, 0.25, 0.5};
  all[2].loss.z_loss = 0.5;
  for (RunSettings& settings : all) {
    settings.options.reduction = compute::Reduction::kSum;
    const LossRun<TypeParam> run = MustRunLoss(batch, settings);
    EXPECT_EQ(*run.summary.loss, kInfinity);
    EXPECT_EQ(Wide(run.row_losses[0]), kInfinity);
    EXPECT_EQ(Wide(run.gradient[0]), -0.25);
    EXPECT_TRUE(std::isfinite(Wide(run.gradient[1])));
  }
}

}  // namespace
}  // namespace lossd::testing
