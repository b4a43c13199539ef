// Reductions, divisors, empty batches and the stop check.
#include <atomic>
#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/compute/error.h"
#include "tests/support/loss_runner.h"
#include "tests/support/oracle.h"

namespace lossd::testing {
namespace {

using compute::Reduction;
using ::testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class ReductionTest : public ::testing::Test {
 protected:
  // Runs the batch as settings_ say and compares everything with the oracle.
  template <typename T>
  void ExpectAsTheOracle(const TestBatch<T>& batch, double ulps) {
    const LossRun<T> run = MustRunLoss(batch, settings_);
    const std::vector<double> wide(batch.logits.begin(), batch.logits.end());
    const OracleOutput want =
        OracleBatch({.rows = batch.rows,
                     .classes = batch.classes,
                     .logits = wide,
                     .labels = batch.labels,
                     .ignore_index = settings_.loss.ignore_index,
                     .reduction = settings_.options.reduction,
                     .divisor = settings_.options.divisor});
    EXPECT_EQ(run.summary.divisor, want.divisor);
    EXPECT_EQ(run.summary.row_count, want.row_count);
    ASSERT_EQ(run.summary.loss.has_value(), want.loss.has_value());
    if (want.loss.has_value()) {
      EXPECT_LE(RelativeError(*run.summary.loss, *want.loss), 0x1p-40);
    }
    for (int64_t r = 0; r < batch.rows; ++r) {
      if (!want.rows[r].has_value()) continue;
      for (int64_t i = 0; i < batch.classes; ++i) {
        EXPECT_LE(ErrorInUlps(run.gradient[r * batch.classes + i],
                              want.rows[r]->gradient[i]),
                  ulps)
            << "row " << r << ", class " << i;
      }
    }
  }

  RunSettings settings_;
};

TEST_F(ReductionTest, MeanSumAndNoneFollowTheFormula) {
  for (Reduction reduction :
       {Reduction::kMean, Reduction::kSum, Reduction::kNone}) {
    settings_.options.reduction = reduction;
    ExpectAsTheOracle(DrawBatch<float>(Distribution::kNormal5, 37, 11, 1), 0.5);
    ExpectAsTheOracle(DrawBatch<double>(Distribution::kNormal5, 37, 11, 2), 1);
  }
}

TEST_F(ReductionTest, MeanDividesByTheRowsNotIgnored) {
  settings_.loss.ignore_index = 3;
  ExpectAsTheOracle(DrawBatch<float>(Distribution::kNormal1, 50, 5, 3), 0.5);
}

TEST_F(ReductionTest, SumsRowLossesOfVeryDifferentSizes) {
  TestBatch<double> batch{3, 2, {1e15, 0, 3, 0, 0, 1e15}, {1, 0, 0}};
  settings_.options.reduction = Reduction::kSum;
  ExpectAsTheOracle(batch, 1);
}

TEST_F(ReductionTest, SumsRowLossesThatAreTiny) {
  settings_.options.reduction = Reduction::kSum;
  ExpectAsTheOracle(TestBatch<float>{2, 2, {90, 0, 0, 80}, {0, 1}}, 0.5);
}

class DivisorTest : public ReductionTest,
                    public ::testing::WithParamInterface<double> {};

INSTANTIATE_TEST_SUITE_P(Values, DivisorTest,
                         ::testing::Values(1.0, 3.0, 0.1, 1e-30, 1e30, 1e-100,
                                           1e100, 12345678.9));

TEST_P(DivisorTest, ReplacesTheMeansDenominator) {
  settings_.options.divisor = GetParam();
  ExpectAsTheOracle(DrawBatch<double>(Distribution::kNormal5, 9, 7, 4), 1);
  ExpectAsTheOracle(DrawBatch<float>(Distribution::kNormal5, 9, 7, 4), 0.5);
}

// The probabilities are subnormal, the gradient is not.
TEST_F(ReductionTest, KeepsTinyProbabilitiesUnderATinyDivisor) {
  settings_.options.divisor = 1e-30;
  ExpectAsTheOracle(DrawBatch<float>(Distribution::kTinyProbabilities, 9, 7, 5),
                    0.5);
  ExpectAsTheOracle(
      DrawBatch<double>(Distribution::kTinyProbabilities, 9, 7, 5), 1);
}

TEST_F(ReductionTest, DividesNothingByTheCallersDivisor) {
  TestBatch<float> batch{1, 2, {1, 2}, {7}};
  settings_.loss.ignore_index = 7;
  settings_.options.divisor = 4;
  const LossRun<float> run = MustRunLoss(batch, settings_);
  EXPECT_EQ(run.summary.loss, 0);
  EXPECT_EQ(run.summary.divisor, 4);
}

TEST_F(ReductionTest, RefusesDivisorsOutOfRange) {
  const TestBatch<float> batch{1, 2, {1, 2}, {0}};
  const std::pair<double, const char*> cases[] = {
      {0.0, "divisor = 0"},
      {-0.0, "divisor = -0"},
      {-2.5, "divisor = -2.5"},
      {kInfinity, "divisor = inf"},
      {-kInfinity, "divisor = -inf"},
      {std::nan(""), "nan"},
      {std::nextafter(1e-100, 0.0), "want [1e-100, 1e+100]"},
      {std::nextafter(1e100, kInfinity), "want [1e-100, 1e+100]"}};
  for (const auto& [divisor, text] : cases) {
    settings_.options.divisor = divisor;
    const absl::Status status = RunLoss(batch, settings_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << divisor;
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
    const compute::ErrorDetails details = compute::DetailsOf(status);
    EXPECT_EQ(details.reason, "OPTION_OUT_OF_RANGE");
    EXPECT_EQ(details.field, "divisor");
    ASSERT_EQ(details.metadata.size(), 1);
    EXPECT_EQ(details.metadata[0].first, "divisor");
  }
}

TEST_F(ReductionTest, RefusesADivisorWithoutTheMean) {
  const TestBatch<float> batch{1, 2, {1, 2}, {0}};
  settings_.options.divisor = 2;
  for (Reduction reduction : {Reduction::kSum, Reduction::kNone}) {
    settings_.options.reduction = reduction;
    const absl::Status status = RunLoss(batch, settings_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("divisor = 2"));
    EXPECT_EQ(compute::DetailsOf(status).field, "divisor");
    EXPECT_EQ(compute::DetailsOf(status).reason, "DIVISOR_WITHOUT_MEAN");
  }
}

TEST_F(ReductionTest, OfZeroRowsIsZeroOrNaN) {
  const TestBatch<float> batch{0, 5, {}, {}};
  LossRun<float> run = MustRunLoss(batch, settings_);
  ASSERT_TRUE(run.summary.loss.has_value());
  EXPECT_TRUE(std::isnan(*run.summary.loss));
  EXPECT_EQ(run.summary.divisor, 0);
  EXPECT_EQ(run.summary.row_count, 0);
  settings_.options.reduction = Reduction::kSum;
  run = MustRunLoss(batch, settings_);
  EXPECT_EQ(run.summary.loss, 0);
  EXPECT_EQ(run.summary.divisor, 1);
  settings_.options.reduction = Reduction::kNone;
  EXPECT_FALSE(MustRunLoss(batch, settings_).summary.loss.has_value());
}

// 2,000,000 logits: far more than a block.
class StopCheckTest : public ::testing::TestWithParam<int> {
 protected:
  // Runs with a check that fails from call `fail_at` on; returns how often it
  // was asked.
  int CallsUntil(int fail_at, absl::Status* status) {
    std::atomic<int> calls{0};
    RunSettings settings;
    settings.outputs = kGradient;
    settings.threads = GetParam();
    settings.stop_check = [&] {
      return ++calls >= fail_at ? absl::CancelledError("client is gone")
                                : absl::OkStatus();
    };
    *status = RunLoss(batch_, settings).status();
    return calls;
  }

  const TestBatch<float> batch_{200'000, 10, std::vector<float>(2'000'000),
                                std::vector<int64_t>(200'000)};
};

INSTANTIATE_TEST_SUITE_P(Threads, StopCheckTest, ::testing::Values(1, 2, 4));

TEST_P(StopCheckTest, IsAskedOftenAndItsErrorStopsTheWork) {
  absl::Status status;
  const int all_calls = CallsUntil(std::numeric_limits<int>::max(), &status);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_GE(all_calls, 20);
  for (int fail_at : {1, 3}) {
    const int calls = CallsUntil(fail_at, &status);
    EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
    EXPECT_EQ(status.message(), "client is gone");
    // Each thread stops at the first error it is given.
    EXPECT_LE(calls, fail_at - 1 + GetParam());
  }
}

}  // namespace
}  // namespace lossd::testing
