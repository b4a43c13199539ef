#include "server/compute/exact_sum.h"

#include <mpfr.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/exact_real.h"

namespace lossd::testing {
namespace {

using compute::ExactSum;

double SumOf(const std::vector<double>& terms) {
  ExactSum sum;
  for (const double term : terms) sum.Add(term);
  return sum.Rounded();
}

// 2,300 bits hold every sum of doubles.
double OracleSum(const std::vector<double>& terms) {
  ExactReal sum(2300, 0.0);
  for (const double term : terms) {
    mpfr_add_d(sum.get(), sum.get(), term, MPFR_RNDN);
  }
  return RoundTo<double>(sum);
}

// Terms of both signs, with exponents in a range of `exponents` from `lowest`.
std::vector<double> Draw(int lowest, int exponents, std::mt19937_64& random) {
  std::vector<double> terms(1 + random() % 40);
  for (double& term : terms) {
    term = std::ldexp(static_cast<double>(static_cast<int64_t>(random())),
                      lowest + static_cast<int>(random() % exponents));
  }
  return terms;
}

TEST(ExactSumTest, IsTheNearestDoubleToTheSum) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 3000; ++i) {
    for (const auto& [lowest, exponents] :
         {std::pair{-1137, 60}, {-1137, 2000}, {-30, 3}, {-100, 200}}) {
      const std::vector<double> terms = Draw(lowest, exponents, random);
      ASSERT_EQ(SumOf(terms), OracleSum(terms)) << lowest;
    }
  }
}

TEST(ExactSumTest, DoesNotDependOnOrderOrParts) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 1000; ++i) {
    std::vector<double> terms = Draw(-300, 500, random);
    const double want = SumOf(terms);
    std::shuffle(terms.begin(), terms.end(), random);
    ExactSum first, second;
    for (const double term : terms) (random() % 2 ? first : second).Add(term);
    first.Add(second);
    ASSERT_EQ(first.Rounded(), want);
  }
}

TEST(ExactSumTest, KeepsWhatCancellationLeaves) {
  EXPECT_EQ(SumOf({1e300, 1.0, -1e300, 5e-324}), 1.0);
  EXPECT_EQ(SumOf({1e300, 5e-324, -1e300}), 5e-324);
  EXPECT_EQ(SumOf({-1.0, 1.0}), 0.0);
  EXPECT_EQ(SumOf({}), 0.0);
}

TEST(ExactSumTest, RoundsMiddlesToEven) {
  EXPECT_EQ(SumOf({1.0, 0x1p-53}), 1.0);
  EXPECT_EQ(SumOf({1.0, 0x1p-53, 5e-324}), 1.0 + 0x1p-52);
  EXPECT_EQ(SumOf({1.0 + 0x1p-52, 0x1p-53}), 1.0 + 0x1p-51);
}

TEST(ExactSumTest, OverflowsWhereRoundingDoes) {
  constexpr double kLargest = std::numeric_limits<double>::max();
  EXPECT_EQ(SumOf({kLargest, 0x1p969}), kLargest);
  EXPECT_EQ(SumOf({kLargest, 0x1p970}), HUGE_VAL);
  EXPECT_EQ(SumOf({kLargest, kLargest, -kLargest}), kLargest);
}

TEST(ExactSumTest, GivesWhatAdditionDoesForTermsThatAreNotFinite) {
  EXPECT_EQ(SumOf({1.0, HUGE_VAL, -1e308}), HUGE_VAL);
  EXPECT_EQ(SumOf({-HUGE_VAL, 5.0}), -HUGE_VAL);
  EXPECT_TRUE(std::isnan(SumOf({HUGE_VAL, -HUGE_VAL})));
  EXPECT_TRUE(std::isnan(SumOf({1.0, NAN})));
}

}  // namespace
}  // namespace lossd::testing
