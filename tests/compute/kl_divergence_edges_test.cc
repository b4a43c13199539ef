// KL divergence where it is not a matter of digits: impossible classes, zeros
// made of cancellations, options, errors, and numbers that pairs cannot hold.
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/compute/kl_oracle.h"
#include "tests/support/elements.h"
#include "tests/support/exact_real.h"
#include "tests/support/spec_runner.h"

namespace lossd::testing {
namespace {

using compute::ElementType;
using compute::KlDivergence;
using ::testing::Each;
using ::testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
const KlDivergence kLogits = {.targets_are_logits = true};

template <typename T>
SpecRun<T> RunRow(const KlDivergence& loss, const std::vector<T>& z,
                  const std::vector<double>& t) {
  SpecBatch<T> batch{1, static_cast<int64_t>(z.size()), z, t};
  batch.options.reduction = compute::Reduction::kSum;
  return MustRun<T>(loss, batch);
}

// Runs one row and holds all of its results to the oracle.
void ExpectRight(const KlDivergence& loss, const std::vector<double>& z,
                 const std::vector<double>& t) {
  const SpecRun<double> run = RunRow(loss, z, t);
  const ExactKlRow want = KlOracle(loss, z, t);
  EXPECT_LE(ErrorInUlps(run.row_losses[0], want.loss), 1.0)
      << run.row_losses[0] << ", want " << RoundTo<double>(want.loss);
  for (size_t i = 0; i < z.size(); ++i) {
    EXPECT_LE(ErrorInUlps(run.gradient[i], want.slopes[i]), 1.0)
        << i << ": " << run.gradient[i] << ", want "
        << RoundTo<double>(want.slopes[i]);
  }
}

TEST(KlDivergenceEdgesTest, IsTheValueWorkedByHand) {
  // q = (1/2, 1/2), p = (1/4, 3/4).
  const std::vector<double> z = {0, std::log(3.0)};
  const SpecRun<double> run = RunRow(KlDivergence(), z, {0.5, 0.5});
  EXPECT_NEAR(run.row_losses[0], 0.5 * std::log(2) + 0.5 * std::log(2.0 / 3),
              1e-15);
  EXPECT_NEAR(run.gradient[0], -0.25, 1e-15);
  EXPECT_NEAR(run.gradient[1], 0.25, 1e-15);
}

TEST(KlDivergenceEdgesTest, TakesImpossibleClassesOfTheStudent) {
  const std::vector<float> z = {-INFINITY, 0, 0};
  const SpecRun<float> taught =
      RunRow(KlDivergence{.temperature = 2}, z, {0.25, 0.5, 0.25});
  EXPECT_EQ(taught.row_losses[0], HUGE_VALF);
  EXPECT_EQ(*taught.summary.loss, kInfinity);
  EXPECT_EQ(taught.gradient, (std::vector<float>{-0.5f, 0, 0.5f}));
  // 0 times infinity is 0.
  const SpecRun<float> untaught = RunRow(KlDivergence(), z, {0, 0.5, 0.5});
  EXPECT_EQ(untaught.row_losses[0], 0.0f);
  EXPECT_THAT(untaught.gradient, Each(0.0f));
  EXPECT_EQ(RunRow(kLogits, z, {-kInfinity, 1, 1}).row_losses[0], 0.0f);
  // So far below that float64 has no exponential for it, but possible.
  EXPECT_EQ(RunRow(kLogits, z, {-1e300, 1, 1}).row_losses[0], HUGE_VALF);
}

TEST(KlDivergenceEdgesTest, TakesImpossibleClassesOfTheTeacher) {
  const SpecRun<double> run =
      RunRow<double>(kLogits, {0, 0, 0, 0}, {-kInfinity, 3, 3, -kInfinity});
  EXPECT_DOUBLE_EQ(run.row_losses[0], std::log(2.0));
  EXPECT_EQ(run.gradient, (std::vector<double>{0.25, -0.25, -0.25, 0.25}));
}

TEST(KlDivergenceEdgesTest, IsExactForOneClassAlone) {
  EXPECT_EQ(RunRow<float>(kLogits, {3}, {-5}).row_losses[0], 0.0f);
  const SpecRun<double> run = RunRow<double>(KlDivergence(), {7}, {2});
  EXPECT_EQ(run.row_losses[0], 2 * std::log(2.0));
  EXPECT_EQ(run.gradient[0], 0.0);
  EXPECT_FALSE(std::signbit(run.gradient[0]));
  EXPECT_EQ(RunRow<float>(KlDivergence(), {7}, {1}).row_losses[0], 0.0f);
  EXPECT_EQ(RunRow<float>(KlDivergence(), {7}, {0}).row_losses[0], 0.0f);
}

// A probability of every class that is the student's, or that is not and yet
// makes the loss 0; teachers in another order, whose class has the same share.
TEST(KlDivergenceEdgesTest, SeesZerosThatAreNoRounding) {
  const std::vector<double> equal(8, 0.7);
  EXPECT_EQ(RunRow(KlDivergence(), equal, std::vector<double>(8, 0.125))
                .row_losses[0],
            0.0);
  EXPECT_THAT(
      RunRow(KlDivergence(), equal, std::vector<double>(8, 0.3)).gradient,
      Each(0.0));
  EXPECT_EQ(RunRow(KlDivergence(), equal,
                   {0.0625, 0.0625, 0.0625, 0.0625, 0.25, 0.125, 0.125, 0.125})
                .row_losses[0],
            0.0);
  const SpecRun<double> permuted =
      RunRow<double>(kLogits, {0.1, 1, 2, -900}, {0.1, 2, 1, -900});
  EXPECT_EQ(permuted.gradient[0], 0.0);
  EXPECT_EQ(permuted.gradient[3], 0.0);
  EXPECT_LT(permuted.gradient[1], 0.0);
  EXPECT_EQ(permuted.gradient[1], -permuted.gradient[2]);
  EXPECT_THAT(RunRow<double>(KlDivergence(), {1, 2}, {0, 0}).gradient,
              Each(0.0));
}

// What only more bits than pairs have can tell from 0.
TEST(KlDivergenceEdgesTest, SeesWhatIsNextToZero) {
  ExpectRight(kLogits, {0, 0, -100}, {0, 0, -100.5});
  ExpectRight(kLogits, {0, 0, -600}, {0, 0, -600.5});
  ExpectRight(kLogits, {0, -1, -2, -650}, {0, -2, -1, -650.5});
  ExpectRight(kLogits, {-1, 0, -2, -650.5}, {-1, 0, -2, -650});
  ExpectRight(kLogits, {1, 2, 3}, {1, 2, std::nextafter(3.0, 4)});
  ExpectRight(kLogits, {0, 1e-200}, {0, 0});
  ExpectRight(KlDivergence(), {0, -40}, {1, 0});
  ExpectRight(KlDivergence(), {0, -600}, {1, 0});
  ExpectRight(KlDivergence(), {0, 0, -650}, {0.5, 0.5, 0});
  ExpectRight(KlDivergence(), {0, 0x1p-40}, {0.5, 0.5});
  ExpectRight(KlDivergence(), {0, 0}, {0.5, std::nextafter(0.5, 1)});
  // Beyond the smallest double.
  EXPECT_EQ(RunRow<double>(kLogits, {0, 0, -1e30}, {0, 0, -2e30}).row_losses[0],
            0.0);
}

TEST(KlDivergenceEdgesTest, TakesLogitsThatPairsCannot) {
  constexpr double kMost = std::numeric_limits<double>::max();
  ExpectRight({.temperature = 1e6, .targets_are_logits = true},
              {kMost, -kMost, kMost}, {1, 2, 3});
  ExpectRight(KlDivergence(), {0x1p1001, 0, -0x1p1001}, {0.5, 0.25, 0.25});
  ExpectRight({.temperature = 1e-6}, {-kMost, 0}, {0, 1});
  // The loss is beyond float64's range.
  EXPECT_EQ(
      RunRow<double>(KlDivergence(), {kMost, -kMost}, {0, 1}).row_losses[0],
      kInfinity);
  // A float64 teacher of narrow logits.
  EXPECT_EQ(RunRow<float>(kLogits, {1, 1}, {kMost, -kMost}).gradient,
            (std::vector<float>{-0.5f, 0.5f}));
}

TEST(KlDivergenceEdgesTest, HasAnEffectOfEveryOption) {
  const std::vector<double> z = {1, 2, 0.5}, t = {0.2, 0.3, 0.5};
  const auto loss = [&](const KlDivergence& spec) {
    return RunRow(spec, z, t).row_losses[0];
  };
  const double plain = loss(KlDivergence());
  EXPECT_NE(loss({.temperature = 2}), plain);
  EXPECT_NE(loss(kLogits), plain);
  EXPECT_NE(loss({.temperature = 2, .targets_are_logits = true}),
            loss(kLogits));
}

TEST(KlDivergenceEdgesTest, DividesTheMeanByTheSumOfTheRowWeights) {
  SpecBatch<double> batch{2, 2, {0, 1, 2, 0}, {0.5, 0.5, 0.25, 0.75}};
  batch.row_weights = {3, 0};
  const SpecRun<double> run = MustRun<double>(KlDivergence(), batch);
  EXPECT_EQ(run.summary.divisor, 3);
  EXPECT_EQ(run.summary.row_count, 2);
  EXPECT_DOUBLE_EQ(*run.summary.loss * 3, run.row_losses[0]);
  EXPECT_EQ(run.row_losses[1], 0);
  EXPECT_EQ(run.gradient[2], 0);
  EXPECT_EQ(run.predictions, (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(run.summary.correct_count, 0);
  batch.options.reduction = compute::Reduction::kNone;
  EXPECT_FALSE(MustRun<double>(KlDivergence(), batch).summary.loss);
}

std::string Refusal(const KlDivergence& loss, const std::vector<float>& z,
                    const std::vector<double>& t) {
  const SpecBatch<float> batch{2, 2, z, t};
  const auto run = RunSpec<float>(loss, batch);
  EXPECT_EQ(run.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(run.status().message());
}

TEST(KlDivergenceEdgesTest, NamesTheFirstBadTarget) {
  const std::vector<float> z = {0, 1, 2, 3};
  EXPECT_EQ(Refusal(KlDivergence(), z, {0, 1, -1e-9, 1}),
            "labels[1, 0] = -1e-09, want [0, 2^100] (row 1, class 0)");
  EXPECT_EQ(
      Refusal(KlDivergence(), z, {0, 1, 1, std::nextafter(0x1p100, 2e30)}),
      "labels[1, 1] = 1.26765e+30, want [0, 2^100] (row 1, class 1)");
  EXPECT_EQ(RunRow<float>(KlDivergence(), {0, 0}, {0x1p100, 0}).gradient[0],
            -0x1p99f);
  for (const double bad : {kNan, kInfinity}) {
    EXPECT_EQ(Refusal(kLogits, z, {0, 1, 1, bad}),
              "labels[1, 1] = " + std::string(std::isnan(bad) ? "nan" : "inf") +
                  ", want a finite number or -inf (row 1, class 1)");
  }
  EXPECT_EQ(Refusal(kLogits, z, {0, 1, -kInfinity, -kInfinity}),
            "labels[1] has nothing but -inf in its 2 classes, want at least "
            "one above (row 1)");
  EXPECT_THAT(Refusal(KlDivergence(), z, {0, 1, -kInfinity, 1}),
              HasSubstr("labels[1, 0] = -inf"));
}

TEST(KlDivergenceEdgesTest, RefusesOrPropagatesBadLogits) {
  const std::vector<double> t = {0.5, 0.5, 0.5, 0.5};
  EXPECT_THAT(Refusal(KlDivergence(), {0, 1, NAN, 0}, t),
              HasSubstr("logits[1, 0] = nan"));
  EXPECT_THAT(Refusal(KlDivergence(), {0, 1, -INFINITY, -INFINITY}, t),
              HasSubstr("logits[1] has nothing but -inf"));
  SpecBatch<float> batch{2, 2, {0, 0, 0, HUGE_VALF}, t};
  batch.options.non_finite_policy = compute::NonFinitePolicy::kPropagate;
  const SpecRun<float> run = MustRun<float>(KlDivergence(), batch);
  EXPECT_EQ(run.row_losses[0], 0.0f);
  EXPECT_EQ(run.gradient[0], 0.0f);
  EXPECT_TRUE(std::isnan(run.row_losses[1]));
  EXPECT_TRUE(std::isnan(run.gradient[2]));
}

TEST(KlDivergenceEdgesTest, HoldsTheTemperatureToItsRange) {
  for (const double temperature : {1e-6, 1e6}) {
    ExpectRight({.temperature = temperature}, {0, 1e-6}, {0.5, 0.25});
  }
  for (const double temperature :
       {std::nextafter(1e-6, 0), std::nextafter(1e6, 2e6), 0.0, -1.0, kNan}) {
    EXPECT_THAT(Refusal({.temperature = temperature}, {0, 1, 2, 3},
                        {0.5, 0.5, 0.5, 0.5}),
                HasSubstr("want [1e-06, 1e+06]"));
  }
}

}  // namespace
}  // namespace lossd::testing
