// The engine's slow ways, which no batch of ordinary logits takes: rows made so
// that a gradient lies on, or next to, the middle of two floats. The engine is
// included for the baseline target, so that its counters can be read.
#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "hwy/highway.h"
#include "server/compute/exact/row-inl.h"
#include "tests/support/oracle.h"

namespace lossd::testing {
namespace {

using compute::RowResult;
using compute::RowScratch;
using compute::RowTask;
namespace engine = compute::HWY_NAMESPACE;

class ExactRowTest : public ::testing::Test {
 protected:
  // Computes the row and expects every number to be the oracle's.
  void ExpectExact(const std::vector<float>& logits, int64_t label,
                   double numerator, double denominator = 1.0) {
    std::vector<float> gradient(logits.size());
    RowTask task;
    task.logits = reinterpret_cast<const std::byte*>(logits.data());
    task.classes = static_cast<int64_t>(logits.size());
    task.label = label;
    task.upstream = numerator;
    task.denominator = denominator;
    task.gradient = reinterpret_cast<std::byte*>(gradient.data());
    task.wants_log_sum_exp = true;
    task.wants_row_loss = true;
    RowResult result;
    engine::ComputeRow(task, scratch_, float(), result);
    const std::vector<double> wide(logits.begin(), logits.end());
    const ExactRow want = OracleRow(wide, label, numerator, denominator);
    for (size_t i = 0; i < logits.size(); ++i) {
      EXPECT_EQ(gradient[i], RoundTo<float>(want.gradient[i])) << "class " << i;
    }
    EXPECT_EQ(result.rounded_loss, RoundTo<float>(want.loss));
    EXPECT_EQ(result.log_sum_exp, RoundTo<float>(want.log_sum_exp));
  }

  RowScratch scratch_;
};

// The bound that the rounding test rests on, against the pair exponential,
// which is 2^40 times as exact. The bits are the same on every target.
TEST(FastExpTest, KeepsItsErrorBound) {
  std::mt19937_64 random(1);
  double worst = 0.0;  // error over bound
  for (const double range : {0.03, 1.0, 30.0, 200.0, 700.0}) {
    std::uniform_real_distribution<double> uniform(-range,
                                                   std::min(range, 200.0));
    for (int i = 0; i < 100'000; ++i) {
      const auto x = static_cast<double>(static_cast<float>(uniform(random)));
      const double fast = hwy::HWY_NAMESPACE::GetLane(
          engine::FastExp(hwy::HWY_NAMESPACE::Set(engine::Doubles(), x)));
      const engine::Pair exact = engine::ExactExp({x, 0.0});
      const double error = ((fast - exact.hi) - exact.lo) / exact.hi;
      const double bound = (2.3 + 0.31 * std::abs(x)) * 0x1p-53;
      worst = std::max(worst, std::abs(error) / bound);
    }
  }
  std::cout << "worst error of the bound " << worst << "\n";
  EXPECT_LT(worst, 1.0);
  EXPECT_GT(worst, 0.5) << "the bound could be tighter";
}

TEST(FastExpTest, IsZeroFarBelowAndKeepsNan) {
  const auto fast_exp = [](double x) {
    return hwy::HWY_NAMESPACE::GetLane(
        engine::FastExp(hwy::HWY_NAMESPACE::Set(engine::Doubles(), x)));
  };
  EXPECT_GT(fast_exp(engine::kFastLow), 0.0);
  EXPECT_EQ(fast_exp(std::nextafter(engine::kFastLow, -1000.0)), 0.0);
  EXPECT_EQ(fast_exp(-std::numeric_limits<double>::infinity()), 0.0);
  EXPECT_TRUE(std::isnan(fast_exp(std::numeric_limits<double>::quiet_NaN())));
}

TEST(FastLogTest, KeepsItsErrorBound) {
  std::mt19937_64 random(2);
  std::uniform_real_distribution<double> exponent(-200.0, 200.0);
  for (int i = 0; i < 20'000; ++i) {
    // Far from 1, near it, and below it.
    const double x = i % 2 == 0 ? std::exp(exponent(random))
                                : 1.0 + exponent(random) * 0x1p-8;
    const engine::Pair exact =
        x >= 1.0 ? engine::ExactLog1p({x - 1.0, 0.0})
                 : -engine::ExactLog1p(engine::Pair{1.0, 0.0} /
                                           engine::Pair{x, 0.0} -
                                       engine::Pair{1.0, 0.0});
    const double error = (engine::FastLog(x, 0.0) - exact.hi) - exact.lo;
    EXPECT_LE(std::abs(error), std::abs(exact.hi) * 0x1p-51) << x;
  }
}

// Half of 1 + k 2^-24 lies between two floats for odd k; ties go to even.
TEST_F(ExactRowTest, RoundsTiesToEven) {
  for (const double k : {1.0, 3.0, -1.0, -3.0, 5.0, 12345.0}) {
    const double numerator = std::copysign(1.0 + std::abs(k) * 0x1p-24, k);
    ExpectExact({0, 0}, 0, numerator);
    ExpectExact({7, 7, 7, 7}, 2, numerator);
    ExpectExact({-3, -3}, 1, 3 * numerator, 3);
  }
  EXPECT_GE(scratch_.slow_paths.unlimited, 12);
}

// A further class, however improbable, takes a little from the others' halves:
// the tie is broken downwards, and the label's the other way.
TEST_F(ExactRowTest, SeesWhatBreaksATie) {
  for (const float rest : {-30.0f, -60.0f, -80.0f, -100.0f, -300.0f, -699.0f,
                           -701.0f, -720.0f, -744.0f, -760.0f}) {
    for (const double k : {1.0, 3.0, -1.0, -3.0}) {
      const double numerator = std::copysign(1.0 + std::abs(k) * 0x1p-24, k);
      ExpectExact({0, 0, rest}, 0, numerator);
      ExpectExact({0, rest, 0}, 1, numerator);
      ExpectExact({rest, rest, 5, 5, 5, 5}, 3, numerator);
    }
  }
  EXPECT_GE(scratch_.slow_paths.unlimited, 50);
}

// The label's own gradient is near -numerator where the label is improbable.
TEST_F(ExactRowTest, SeesWhatKeepsTheLabelsGradientFromATie) {
  for (const float label : {-30.0f, -70.0f, -100.0f, -400.0f, -710.0f}) {
    ExpectExact({label, 0}, 0, 1.0 + 0x1p-24);
    ExpectExact({label, 0, -1}, 0, 1.0 + 3 * 0x1p-24);
  }
  EXPECT_GE(scratch_.slow_paths.unlimited, 5);
}

// m - z_y is the middle of two floats, and ln S is next to nothing.
TEST_F(ExactRowTest, SeesWhatKeepsALossFromATie) {
  for (const float below : {-1.0f, -40.0f, -90.0f}) {
    const float max = 16777216.0f;
    ExpectExact({max, below, max - 300}, 1, 1.0);
  }
  EXPECT_GE(scratch_.slow_paths.exact, 1);
}

// An offset far below the maximum, and one that is not finite.
TEST_F(ExactRowTest, FindsAnOffsetAgain) {
  ExpectExact({-500, 0, 1, 2}, 1, 1.0);
  ExpectExact({-5000, 800, 1, 799}, 3, 1.0);
  std::vector<float> masked(40, -std::numeric_limits<float>::infinity());
  masked[30] = -1000;
  masked[31] = -1001;
  ExpectExact(masked, 31, 1.0);
}

// Around the limits up to which no offset is used, the maximum may lie from the
// offset, and the loss is made from a quotient.
TEST_F(ExactRowTest, IsExactAroundItsLimits) {
  for (const float first : {100.0f, 100.5f, -100.0f, -100.5f}) {
    for (const float max : {199.5f, 200.0f, 200.5f, -199.5f, -200.5f}) {
      ExpectExact({first, max, max - 1, -250}, 0, 1.0);
      ExpectExact({first, max, max - 1, -250}, 1, 1.0);
    }
  }
  for (const float label : {-399.0f, -400.0f, -400.5f, -598.0f, -709.0f}) {
    ExpectExact({1, label}, 1, 1.0);
    ExpectExact({99, 199, label, 198}, 2, 1.0);
    ExpectExact({-99, -199, label, -198}, 2, 1.0);
  }
}

// A sum of exponentials near 1: its logarithm cancels unless taken near 1.
TEST_F(ExactRowTest, IsExactWhereLogSumExpIsNearZero) {
  const float half = -0.6931472f;
  ExpectExact({half, half}, 0, 1.0);
  ExpectExact({half, std::nextafter(half, 0.0f)}, 1, 1.0);
  ExpectExact({0, -30}, 0, 1.0);
  ExpectExact({-1e-6f, -14}, 0, 1.0);
}

// Results below 2^-126, zero included, round once, too.
TEST_F(ExactRowTest, RoundsSubnormalResultsOnce) {
  std::vector<float> logits = {0};
  for (int i = 0; i < 600; ++i) logits.push_back(-86.0f - 0.03f * i);
  ExpectExact(logits, 0, 1.0);
  ExpectExact(logits, 17, 1.0, 7.0);
}

// Results beyond the largest float are infinite from its upper middle on.
TEST_F(ExactRowTest, OverflowsWhereRoundingDoes) {
  const double largest = std::numeric_limits<float>::max();
  const double half_ulp = 0x1p103;
  ExpectExact({0, 0}, 0, 2 * largest);
  ExpectExact({0, 0}, 0, 2 * (largest + half_ulp));
  ExpectExact({0, 0, -50}, 0, 2 * (largest + half_ulp));
}

}  // namespace
}  // namespace lossd::testing
