// NaN, +inf and -inf among the logits, and other ends of the number range.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/compute/error.h"
#include "tests/support/loss_runner.h"

namespace lossd::testing {
namespace {

using compute::NonFinitePolicy;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsNan;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

template <typename T>
class NonFiniteTest : public ::testing::Test {
 protected:
  static constexpr T kInfinity = std::numeric_limits<T>::infinity();
  static constexpr T kNaN = std::numeric_limits<T>::quiet_NaN();
  static constexpr int64_t kRows = 500;
  static constexpr int64_t kClasses = 101;  // more than one block of rows

  static TestBatch<T> Batch() {
    return DrawBatch<T>(Distribution::kNormal5, kRows, kClasses, 9);
  }

  static RunSettings Propagate() {
    RunSettings settings;
    settings.options.non_finite_policy = NonFinitePolicy::kPropagate;
    return settings;
  }

  static void ExpectRefused(const TestBatch<T>& batch, int64_t row,
                            int64_t column, const std::string& value) {
    const std::string r = std::to_string(row);
    const std::string c = std::to_string(column);
    for (unsigned outputs : {kAllOutputs, kGradient, 0u}) {
      for (int threads : {1, 4}) {
        RunSettings settings;
        settings.threads = threads;
        settings.outputs = outputs;
        const absl::Status status = RunLoss(batch, settings).status();
        EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
        EXPECT_THAT(std::string(status.message()),
                    HasSubstr("logits[" + r + ", " + c + "] = " + value));
        const compute::ErrorDetails details = compute::DetailsOf(status);
        EXPECT_EQ(details.reason, "NON_FINITE_LOGIT");
        EXPECT_EQ(details.field, "logits");
        EXPECT_THAT(details.metadata,
                    UnorderedElementsAre(Pair("row", r), Pair("class", c),
                                         Pair("value", value)));
      }
    }
  }
};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(NonFiniteTest, Types);

TYPED_TEST(NonFiniteTest, IsRefusedNamingRowAndClass) {
  for (int64_t column : {0, 1, 15, 16, 63, 64, 99, 100}) {
    TestBatch<TypeParam> batch = this->Batch();
    batch.logits[37 * this->kClasses + column] = this->kNaN;
    this->ExpectRefused(batch, 37, column, "nan");
    batch.logits[37 * this->kClasses + column] = this->kInfinity;
    this->ExpectRefused(batch, 37, column, "inf");
  }
}

TYPED_TEST(NonFiniteTest, IsNamedFirstInRowsThenInClasses) {
  TestBatch<TypeParam> batch = this->Batch();
  for (int64_t row = 123; row < this->kRows; row += 3) {
    batch.logits[row * this->kClasses + 5] = this->kNaN;
    batch.logits[row * this->kClasses + 4] = this->kInfinity;
  }
  this->ExpectRefused(batch, 123, 4, "inf");
  batch.logits[499 * this->kClasses] = this->kNaN;
  this->ExpectRefused(batch, 123, 4, "inf");
}

TYPED_TEST(NonFiniteTest, RowOfNothingButMinusInfinityIsRefused) {
  TestBatch<TypeParam> batch = this->Batch();
  std::fill_n(batch.logits.begin() + 77 * this->kClasses, this->kClasses,
              -this->kInfinity);
  const absl::Status status = RunLoss(batch).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("logits[77]"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("101"));
  const compute::ErrorDetails details = compute::DetailsOf(status);
  EXPECT_EQ(details.reason, "NO_POSSIBLE_CLASS");
  EXPECT_EQ(details.field, "logits");
  EXPECT_THAT(details.metadata,
              UnorderedElementsAre(Pair("row", "77"), Pair("classes", "101")));
}

TYPED_TEST(NonFiniteTest, PropagatesInItsOwnRowsOnly) {
  const LossRun<TypeParam> clean = MustRunLoss(this->Batch());
  TestBatch<TypeParam> batch = this->Batch();
  const auto row_begin = [&](auto& v, int64_t row) {
    return v.begin() + row * this->kClasses;
  };
  *(row_begin(batch.logits, 7) + 100) = this->kNaN;
  *row_begin(batch.logits, 8) = this->kInfinity;
  std::fill_n(row_begin(batch.logits, 400), this->kClasses, -this->kInfinity);
  LossRun<TypeParam> run = MustRunLoss(batch, this->Propagate());
  ASSERT_TRUE(run.summary.loss.has_value());
  EXPECT_TRUE(std::isnan(*run.summary.loss));
  EXPECT_EQ(run.summary.row_count, this->kRows);
  for (int64_t row : {7, 8, 400}) {
    const auto begin = row_begin(run.gradient, row);
    EXPECT_THAT(std::vector<TypeParam>(begin, begin + this->kClasses),
                Each(IsNan()))
        << "row " << row;
    EXPECT_THAT(run.row_losses[row], IsNan());
    EXPECT_THAT(run.log_sum_exp[row], IsNan());
    std::copy_n(row_begin(clean.gradient, row), this->kClasses, begin);
    run.row_losses[row] = clean.row_losses[row];
    run.log_sum_exp[row] = clean.log_sum_exp[row];
  }
  EXPECT_TRUE(SameBits(run.gradient, clean.gradient));
  EXPECT_TRUE(SameBits(run.row_losses, clean.row_losses));
  EXPECT_TRUE(SameBits(run.log_sum_exp, clean.log_sum_exp));
}

TYPED_TEST(NonFiniteTest, PolicyChangesNothingForFiniteRows) {
  EXPECT_TRUE(SameBits(MustRunLoss(this->Batch()),
                       MustRunLoss(this->Batch(), this->Propagate())));
}

TYPED_TEST(NonFiniteTest, MinusInfinityIsAnImpossibleClass) {
  const TypeParam minus = -this->kInfinity;
  const TestBatch<TypeParam> batch{
      2, 3, {1, minus, 1, minus, minus, 5}, {0, 2}};
  RunSettings settings;
  settings.options.reduction = compute::Reduction::kNone;
  const LossRun<TypeParam> run = MustRunLoss(batch, settings);
  EXPECT_THAT(run.gradient, ElementsAre(-0.5, 0, 0.5, 0, 0, 0));
  EXPECT_EQ(run.row_losses[0], static_cast<TypeParam>(std::log(2.0)));
  EXPECT_EQ(run.row_losses[1], 0);
  EXPECT_EQ(run.log_sum_exp[1], 5);
}

TYPED_TEST(NonFiniteTest, LabelOnMinusInfinityHasInfiniteLossAndAGradient) {
  const TypeParam minus = -this->kInfinity;
  const TestBatch<TypeParam> batch{2, 3, {1, minus, 1, 0, 0, 0}, {1, 0}};
  RunSettings settings;
  settings.options.reduction = compute::Reduction::kSum;
  const LossRun<TypeParam> run = MustRunLoss(batch, settings);
  EXPECT_EQ(run.summary.loss, std::numeric_limits<double>::infinity());
  EXPECT_EQ(run.row_losses[0], this->kInfinity);
  EXPECT_THAT(
      std::vector<TypeParam>(run.gradient.begin(), run.gradient.begin() + 3),
      ElementsAre(0.5, -1, 0.5));
}

TYPED_TEST(NonFiniteTest, LargestFiniteLogitsAreNotTakenForInfinite) {
  const TypeParam max = std::numeric_limits<TypeParam>::max();
  const TestBatch<TypeParam> batch{
      4, 2, {max, -max, max, max, -max, -max, max, 0}, {0, 1, 0, 1}};
  RunSettings settings;
  settings.options.reduction = compute::Reduction::kSum;
  const LossRun<TypeParam> run = MustRunLoss(batch, settings);
  EXPECT_THAT(run.gradient, ElementsAre(0, 0, 0.5, -0.5, -0.5, 0.5, 1, -1));
  const auto log_2 = static_cast<TypeParam>(std::log(2.0));
  EXPECT_THAT(run.row_losses, ElementsAre(0, log_2, log_2, max));
  EXPECT_THAT(run.log_sum_exp, ElementsAre(max, max, -max, max));
}

}  // namespace
}  // namespace lossd::testing
