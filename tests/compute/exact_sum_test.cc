// ExactSum against MPFR, which holds every sum of doubles in 2,240 bits.
#include "server/compute/exact_sum.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/elements.h"
#include "tests/support/exact_real.h"

namespace lossd::testing {
namespace {

using compute::ExactSum;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kMax = std::numeric_limits<double>::max();
constexpr double kMin = std::numeric_limits<double>::min();
constexpr double kLeast = std::numeric_limits<double>::denorm_min();

double SumOf(const std::vector<double>& terms) {
  ExactSum sum;
  for (double term : terms) sum.Add(term);
  return sum.Rounded();
}

double WantOf(const std::vector<double>& terms) {
  ExactReal sum(2300, 0.0);
  for (double term : terms) sum = sum + ExactReal(53, term);
  return RoundTo<double>(sum);
}

void ExpectExact(const std::vector<double>& terms) {
  EXPECT_EQ(SumOf(terms), WantOf(terms));
}

// Doubles of either sign and all exponents in [low, high).
std::vector<double> DrawTerms(int count, int low, int high,
                              std::mt19937_64& random) {
  std::uniform_real_distribution<double> mantissa(1, 2);
  std::vector<double> terms;
  for (int i = 0; i < count; ++i) {
    const int exponent =
        low + static_cast<int>(random() % static_cast<uint64_t>(high - low));
    const double term = std::ldexp(mantissa(random), exponent);
    terms.push_back(random() % 2 == 0 ? term : -term);
  }
  return terms;
}

TEST(ExactSumTest, IsZeroOfNothing) {
  EXPECT_TRUE(SameBits(SumOf({}), 0.0));
  EXPECT_TRUE(SameBits(SumOf({0.0, -0.0}), 0.0));
}

TEST(ExactSumTest, OfOneTermIsThatTerm) {
  std::mt19937_64 random(1);
  for (double term : DrawTerms(5000, -1074, 1024, random)) {
    EXPECT_EQ(SumOf({term}), term);
  }
  for (double term : {kLeast, 3 * kLeast, kMin, kMin - kLeast, 2 * kMin, kMax,
                      1.0, 0x1p31, 0x1p-31}) {
    EXPECT_EQ(SumOf({term}), term);
    EXPECT_EQ(SumOf({-term}), -term);
  }
}

TEST(ExactSumTest, IsRoundedOnceForTermsOfAllSizes) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 300; ++i) {
    ExpectExact(DrawTerms(1 + i % 70, -1074, 1020, random));
    ExpectExact(DrawTerms(1 + i % 70, -60, 60, random));
    ExpectExact(DrawTerms(1 + i % 70, -1074, -1000, random));
    ExpectExact(DrawTerms(1 + i % 70, 960, 1015, random));
  }
}

TEST(ExactSumTest, RoundsMiddlesToEvenUnlessSomethingBreaksTheTie) {
  for (double one : {1.0, 3.0, 0x1p700, 0x1p-900}) {
    const double half = 0.5 * (std::nextafter(one, kInfinity) - one);
    const double odd = std::nextafter(one, kInfinity);
    EXPECT_EQ(SumOf({one, half}), one);  // even
    EXPECT_EQ(SumOf({odd, half}), std::nextafter(odd, kInfinity));
    for (double small : {kLeast, one * 0x1p-120, half * 0x1p-40}) {
      EXPECT_EQ(SumOf({one, half, small}), odd);
      EXPECT_EQ(SumOf({one, half, -small}), one);
      EXPECT_EQ(SumOf({-one, -half, -small}), -odd);
    }
  }
}

TEST(ExactSumTest, KeepsWhatCancellationLeaves) {
  EXPECT_EQ(SumOf({kMax, kLeast, -kMax}), kLeast);
  EXPECT_EQ(SumOf({0x1p1000, 1.0, 0x1p-1000, -0x1p1000, -1.0}), 0x1p-1000);
  std::mt19937_64 random(3);
  for (int i = 0; i < 200; ++i) {
    std::vector<double> terms = DrawTerms(50, -500, 500, random);
    const std::vector<double> rest = DrawTerms(3, -1070, -300, random);
    for (int k = 0; k < 50; ++k) terms.push_back(-terms[k]);
    EXPECT_TRUE(SameBits(SumOf(terms), 0.0));
    terms.insert(terms.end(), rest.begin(), rest.end());
    std::shuffle(terms.begin(), terms.end(), random);
    EXPECT_EQ(SumOf(terms), WantOf(rest));
  }
}

TEST(ExactSumTest, DoesNotDependOnTheOrder) {
  std::mt19937_64 random(4);
  std::vector<double> terms = DrawTerms(2000, -300, 300, random);
  const double want = WantOf(terms);
  for (int i = 0; i < 20; ++i) {
    std::shuffle(terms.begin(), terms.end(), random);
    EXPECT_EQ(SumOf(terms), want);
  }
}

TEST(ExactSumTest, DoesNotDependOnTheParts) {
  std::mt19937_64 random(5);
  const std::vector<double> terms = DrawTerms(3000, -1070, 1000, random);
  const double want = WantOf(terms);
  for (int parts = 1; parts <= 50; parts += 7) {
    std::vector<ExactSum> sums(parts);
    for (size_t i = 0; i < terms.size(); ++i) {
      sums[random() % sums.size()].Add(terms[i]);
    }
    ExactSum all;
    for (const ExactSum& sum : sums) {
      sum.Rounded();  // changes nothing
      all.Add(sum);
    }
    EXPECT_EQ(all.Rounded(), want) << parts;
  }
}

// Carries are due after 2^30 additions: sums added to themselves get there
// soon, with digits as large as they become.
TEST(ExactSumTest, CarriesInTime) {
  for (const double term : {0x1.fffffffffffffp30, -0x1.fffffffffffffp-1000,
                            0x1.fffffffffffffp900, kLeast}) {
    ExactSum sum;
    sum.Add(term);
    for (int i = 0; i < 60; ++i) {
      const ExactSum copy = sum;
      sum.Add(copy);
    }
    EXPECT_EQ(sum.Rounded(), std::ldexp(term, 60));
    for (int i = 0; i < 60; ++i) sum.Add(-std::ldexp(term, i));
    EXPECT_EQ(sum.Rounded(), term);  // 2^60 less 2^60 - 1
  }
}

TEST(ExactSumTest, RoundsSubnormalSums) {
  EXPECT_EQ(SumOf({kMin, -kLeast}), kMin - kLeast);
  EXPECT_EQ(SumOf({-kMin, kLeast, kLeast}), -(kMin - 2 * kLeast));
  std::mt19937_64 random(6);
  for (int i = 0; i < 1000; ++i) {
    ExpectExact(DrawTerms(4, -1074, -1019, random));
  }
}

TEST(ExactSumTest, IsInfiniteFromTheUpperMiddleOn) {
  const double half_ulp = 0x1p970;
  const std::vector<double> middle = {kMax, half_ulp};
  EXPECT_EQ(SumOf(middle), kInfinity);
  EXPECT_EQ(SumOf({kMax, half_ulp, -kLeast}), kMax);
  EXPECT_EQ(SumOf({-kMax, -half_ulp}), -kInfinity);
  EXPECT_EQ(SumOf({-kMax, -half_ulp, kLeast}), -kMax);
  EXPECT_EQ(SumOf({kMax, kMax, kMax}), kInfinity);
  EXPECT_EQ(SumOf({kMax, kMax, kMax, -kMax, -kMax}), kMax);
}

TEST(ExactSumTest, InfinitiesAndNanAreThoseOfPlainAddition) {
  const double nan = std::nan("");
  EXPECT_EQ(SumOf({1.0, kInfinity, -kMax}), kInfinity);
  EXPECT_EQ(SumOf({-kInfinity, kMax, kMax}), -kInfinity);
  EXPECT_TRUE(std::isnan(SumOf({kInfinity, 1.0, -kInfinity})));
  EXPECT_TRUE(std::isnan(SumOf({nan, 1.0})));
  EXPECT_TRUE(std::isnan(SumOf({kInfinity, nan})));
  ExactSum infinite, other;
  infinite.Add(kInfinity);
  other.Add(1.0);
  other.Add(infinite);
  EXPECT_EQ(other.Rounded(), kInfinity);
  ExactSum minus;
  minus.Add(-kInfinity);
  other.Add(minus);
  EXPECT_TRUE(std::isnan(other.Rounded()));
}

}  // namespace
}  // namespace lossd::testing
