// Labels, ignored rows, predictions and counts of softmax cross-entropy.
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/compute/error.h"
#include "tests/support/loss_runner.h"

namespace lossd::testing {
namespace {

using compute::ClassIndices;
using compute::Reduction;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const float kNaN = std::nanf("");

TestBatch<float> TwelveRows() {
  return DrawBatch<float>(Distribution::kNormal1, 12, 10, 1);
}

class LabelsTest : public ::testing::TestWithParam<ClassIndices::Type> {
 protected:
  LabelsTest() { settings_.label_type = GetParam(); }

  // Refused for `label` in `row`, with every part that a program reads.
  void ExpectRefused(const TestBatch<float>& batch, int64_t row,
                     int64_t label) {
    const absl::Status status = RunLoss(batch, settings_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    const std::string r = std::to_string(row);
    const std::string l = std::to_string(label);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("labels[" + r + "] = " + l + ", want [0, 10)"));
    const compute::ErrorDetails details = compute::DetailsOf(status);
    EXPECT_EQ(details.reason, "LABEL_OUT_OF_RANGE");
    EXPECT_EQ(details.field, "labels");
    EXPECT_THAT(details.metadata,
                UnorderedElementsAre(Pair("row", r), Pair("label", l),
                                     Pair("classes", "10")));
  }

  RunSettings settings_;
};

INSTANTIATE_TEST_SUITE_P(Types, LabelsTest,
                         ::testing::Values(ClassIndices::Type::kInt32,
                                           ClassIndices::Type::kInt64));

TEST_P(LabelsTest, AreTakenAtBothEndsOfTheirRange) {
  TestBatch<float> batch = TwelveRows();
  batch.labels[7] = 0;
  batch.labels[8] = 9;
  EXPECT_TRUE(RunLoss(batch, settings_).ok());
}

TEST_P(LabelsTest, AreRefusedOnePastEitherEnd) {
  for (int64_t label : {-1, 10}) {
    TestBatch<float> batch = TwelveRows();
    batch.labels[7] = label;
    ExpectRefused(batch, 7, label);
  }
}

TEST_P(LabelsTest, AreRefusedFarOutOfRange) {
  for (int64_t label : {std::numeric_limits<int32_t>::min(),
                        std::numeric_limits<int32_t>::max()}) {
    TestBatch<float> batch = TwelveRows();
    batch.labels[11] = label;
    ExpectRefused(batch, 11, label);
  }
}

TEST_P(LabelsTest, NameTheFirstOffender) {
  TestBatch<float> batch = TwelveRows();
  batch.labels[3] = 10;
  batch.labels[5] = -1;
  for (int threads : {1, 4}) {
    settings_.threads = threads;
    ExpectRefused(batch, 3, 10);
  }
}

TEST_P(LabelsTest, AreRefusedBesideAnIgnoreIndex) {
  TestBatch<float> batch = TwelveRows();
  settings_.loss.ignore_index = -100;
  batch.labels[1] = -100;
  batch.labels[2] = -1;
  ExpectRefused(batch, 2, -1);
}

TEST_P(LabelsTest, AreRefusedBeforeTheLogitsAreLookedAt) {
  TestBatch<float> batch = TwelveRows();
  batch.logits[0] = kNaN;
  batch.labels[2] = 10;
  ExpectRefused(batch, 2, 10);
}

TEST_P(LabelsTest, GiveTheSameBitsInEitherType) {
  const TestBatch<float> batch = TwelveRows();
  EXPECT_TRUE(SameBits(MustRunLoss(batch), MustRunLoss(batch, settings_)));
}

TEST(WideLabelsTest, AreNotCutToThirtyTwoBits) {
  TestBatch<float> batch = TwelveRows();
  batch.labels[4] = int64_t{1} << 32;  // 0 in its lower half
  EXPECT_THAT(std::string(RunLoss(batch).status().message()),
              HasSubstr("labels[4] = 4294967296, want [0, 10)"));
}

TEST(OneClassTest, HasLossAndGradientZero) {
  const TestBatch<float> batch{3, 1, {5, -1e30f, 0}, {0, 0, 0}};
  const LossRun<float> run = MustRunLoss(batch);
  EXPECT_EQ(run.summary.loss, 0);
  EXPECT_THAT(run.gradient, Each(0));
  EXPECT_THAT(run.row_losses, Each(0));
  EXPECT_THAT(run.log_sum_exp, ElementsAre(5, -1e30f, 0));
  EXPECT_EQ(run.summary.correct_count, 3);
}

class IgnoreIndexTest : public ::testing::TestWithParam<int64_t> {
 protected:
  IgnoreIndexTest() { settings_.loss.ignore_index = GetParam(); }
  RunSettings settings_;
};

// Inside [0, classes), and outside on both sides.
INSTANTIATE_TEST_SUITE_P(
    Values, IgnoreIndexTest,
    ::testing::Values(0, 1, -100, -1, 2, 1000,
                      std::numeric_limits<int64_t>::max(),
                      std::numeric_limits<int64_t>::min()));

TEST_P(IgnoreIndexTest, TakesItsRowsOutOfLossGradientAndCounts) {
  const int64_t other = GetParam() == 0 ? 1 : 0;
  const TestBatch<double> batch{
      3, 2, {1, 2, 3, 5, 4, 4}, {other, GetParam(), other}};
  const TestBatch<double> counted{2, 2, {1, 2, 4, 4}, {other, other}};
  const LossRun<double> run = MustRunLoss(batch, settings_);
  const LossRun<double> want = MustRunLoss(counted);
  EXPECT_EQ(run.summary.loss, want.summary.loss);
  EXPECT_EQ(run.summary.row_count, 2);
  EXPECT_EQ(run.summary.divisor, 2);
  EXPECT_EQ(run.summary.correct_count, want.summary.correct_count);
  EXPECT_THAT(run.gradient, ElementsAre(want.gradient[0], want.gradient[1], 0,
                                        0, want.gradient[2], want.gradient[3]));
  EXPECT_THAT(run.row_losses,
              ElementsAre(want.row_losses[0], 0, want.row_losses[1]));
  EXPECT_THAT(run.predictions, ElementsAre(1, 1, 0));
}

TEST_P(IgnoreIndexTest, LeavesNothingWhereEveryRowHasIt) {
  TestBatch<double> batch{2, 2, {1, 2, 3, 4}, {GetParam(), GetParam()}};
  for (Reduction reduction : {Reduction::kMean, Reduction::kSum}) {
    settings_.options.reduction = reduction;
    const bool is_mean = reduction == Reduction::kMean;
    const LossRun<double> run = MustRunLoss(batch, settings_);
    ASSERT_TRUE(run.summary.loss.has_value());
    EXPECT_EQ(std::isnan(*run.summary.loss), is_mean);
    if (!is_mean) {
      EXPECT_EQ(run.summary.loss, 0);
    }
    EXPECT_EQ(run.summary.divisor, is_mean ? 0 : 1);
    EXPECT_EQ(run.summary.row_count, 0);
    EXPECT_EQ(run.summary.correct_count, 0);
    EXPECT_THAT(run.gradient, Each(0));
    EXPECT_THAT(run.row_losses, Each(0));
  }
}

TEST(IgnoredRowTest, MayHoldAnything) {
  TestBatch<float> batch{
      4, 2, {1, 2, kNaN, 0, kInfinity, 0, 3, 4}, {0, 9, 9, 1}};
  batch.logits.insert(batch.logits.end(), {-kInfinity, -kInfinity});
  batch.labels.push_back(9);
  batch.rows = 5;
  RunSettings settings;
  settings.loss.ignore_index = 9;
  for (unsigned outputs : {kAllOutputs, kGradient, kLogSumExp, 0u}) {
    settings.outputs = outputs;
    const LossRun<float> run = MustRunLoss(batch, settings);
    EXPECT_EQ(run.summary.row_count, 2);
    EXPECT_TRUE(std::isfinite(*run.summary.loss));
  }
  settings.outputs = kGradient | kRowLosses;
  const LossRun<float> run = MustRunLoss(batch, settings);
  for (int i : {2, 3, 4, 5, 8, 9}) EXPECT_EQ(run.gradient[i], 0) << i;
  EXPECT_EQ(run.row_losses[1], 0);
}

TEST(PredictionsTest, AreTheLowestIndexOfTheLargestLogit) {
  const TestBatch<float> batch{
      5,
      4,
      {1, 3,     3, 2,  5,  5,  5,  5, -kInfinity, -4, -kInfinity, -4,  //
       0, -0.0f, 0, -1, -3, -2, -1, 0},
      {1, 3, 1, 0, 2}};
  const LossRun<float> run = MustRunLoss(batch);
  EXPECT_THAT(run.predictions, ElementsAre(1, 0, 1, 0, 3));
  EXPECT_EQ(run.summary.correct_count, 3);
}

// Each lane and tail position of any vector length holds the maximum once, with
// an equal one behind it.
TEST(PredictionsTest, FindTheMaximumAtEveryPosition) {
  constexpr int64_t kClasses = 70;
  TestBatch<float> batch{kClasses, kClasses, {}, {}};
  for (int64_t row = 0; row < kClasses; ++row) {
    std::vector<float> z(kClasses, -2);
    z[row] = z[kClasses - 1] = 4;
    batch.logits.insert(batch.logits.end(), z.begin(), z.end());
    batch.labels.push_back(row);
  }
  const LossRun<float> run = MustRunLoss(batch);
  EXPECT_EQ(run.predictions, batch.labels);
  EXPECT_EQ(run.summary.correct_count, kClasses);
}

TEST(PredictionsTest, AreTheFirstNaNWherePropagated) {
  const TestBatch<float> batch{
      3,
      3,
      {1, kNaN, kNaN, 0, kInfinity, 2, -kInfinity, -kInfinity, -kInfinity},
      {1, 1, 0}};
  RunSettings settings;
  settings.options.non_finite_policy = compute::NonFinitePolicy::kPropagate;
  const LossRun<float> run = MustRunLoss(batch, settings);
  EXPECT_THAT(run.predictions, ElementsAre(1, 1, 0));
}

}  // namespace
}  // namespace lossd::testing
