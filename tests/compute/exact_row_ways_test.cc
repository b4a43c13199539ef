// The ways that a result takes where the fast one leaves it in doubt, for every
// type of logits and with options: rows made so that each way is needed, the
// counters that say it was, and the oracle's results.
#include <cmath>
#include <iostream>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "server/compute/narrow_float.h"
#include "tests/compute/engine_row.h"
#include "tests/support/exact_real.h"

namespace lossd::testing {
namespace {

using compute::BFloat16;
using compute::Float16;
using compute::RowScratch;
using compute::SlowPaths;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Half of what the numbers above 1 lie apart: 1 + kHalf is a middle.
template <typename T>
constexpr double kHalf = ElementTypeOf<T>() == compute::ElementType::kFloat16
                             ? 0x1p-11
                         : ElementTypeOf<T>() == compute::ElementType::kBFloat16
                             ? 0x1p-8
                             : 0x1p-24;

template <typename T>
class WaysTest : public ::testing::Test {
 protected:
  // Compares the row with the oracle; returns how often each way was taken.
  static SlowPaths Taken(const EngineRow& row) {
    RowScratch scratch;
    ExpectAsTheOracle<T>(row, scratch);
    return scratch.slow_paths;
  }

  // Rows in which class 1 has a middle of two numbers as its gradient but for
  // what the last class, `below` the others, takes away.
  static std::vector<EngineRow> NearTies(double below) {
    const double odd = 1.0 + kHalf<T>;
    return {
        {.logits = {2, 2, 2 - below}, .upstream = odd},
        {.logits = {2, 2, 2 - below}, .upstream = -3 * odd, .denominator = 3},
        {.logits = {2, 2, 2 - below}, .class_weights = {odd, 1, 1}},
        // The class at the label cancels but for the last class's part.
        {.logits = {0, 0, -below}, .smoothing = 0.75, .row_weight = odd},
        {.logits = {0, 0, -below},
         .probabilities = {0.75, 0.25, 0},
         .upstream = odd},
        // With a z-loss the sum's logarithm is rational but for the last class.
        {.logits = {-below, 1}, .z_loss = 0.5, .upstream = odd},
        {.logits = {-below, 1}, .z_loss = odd, .row_weight = 2},
        {.logits = {2, 2, 2 - below}, .scale = odd},
    };
  }
};
using Types = ::testing::Types<float, Float16, BFloat16>;
TYPED_TEST_SUITE(WaysTest, Types);

TYPED_TEST(WaysTest, FastDecidesFarFromTies) {
  for (const EngineRow& row : this->NearTies(12)) {
    EXPECT_EQ(this->Taken(row).exact, 0);
  }
}

TYPED_TEST(WaysTest, CarefulDecidesNearTies) {
  int64_t careful = 0;
  for (const EngineRow& row : this->NearTies(37)) {
    const SlowPaths taken = this->Taken(row);
    EXPECT_EQ(taken.unlimited, 0);
    careful += taken.careful > 0 ? 1 : 0;
  }
  EXPECT_GE(careful, 7);
}

TYPED_TEST(WaysTest, ExactDecidesWhatCarefulDoesNot) {
  int64_t exact = 0;
  for (const EngineRow& row : this->NearTies(48)) {
    exact += this->Taken(row).exact > 0 ? 1 : 0;
  }
  EXPECT_GE(exact, 7);
}

TYPED_TEST(WaysTest, UnlimitedDecidesTheRest) {
  for (const double below : {64, 100, 300, 704, 744, 1000}) {
    for (const EngineRow& row : this->NearTies(below)) {
      EXPECT_GT(this->Taken(row).unlimited, 0) << below;
    }
  }
}

// Without the last class these are ties, or exactly 0.
TYPED_TEST(WaysTest, UnlimitedDecidesTies) {
  for (const EngineRow& row : this->NearTies(kInfinity)) {
    EXPECT_GT(this->Taken(row).unlimited, 0);
  }
}

// Gradients of other types have middles of their own.
TYPED_TEST(WaysTest, TiesAreThoseOfTheGradientsType) {
  for (const double half : {0x1p-24, 0x1p-11, 0x1p-8}) {
    for (const auto type :
         {compute::ElementType::kFloat32, compute::ElementType::kFloat16,
          compute::ElementType::kBFloat16}) {
      for (const double below : {37.0, 48.0, 100.0, kInfinity}) {
        this->Taken({.logits = {2, 2, 2 - below},
                     .upstream = 1.0 + half,
                     .gradient_type = type});
        this->Taken({.logits = {2, 2, 2 - below},
                     .smoothing = 0.75,
                     .upstream = -1.0 - half,
                     .gradient_type = type});
      }
    }
  }
}

// At the middle and next to it, by units of float64's last place and by larger
// steps: the edges of what the fast way leaves in doubt.
TYPED_TEST(WaysTest, AreRightOnBothSidesOfEveryWindow) {
  for (const double step : {0x1p-52, 0x1p-50, 0x1p-46, 0x1p-28, 0x1p-26}) {
    for (int j = -80; j <= 80; ++j) {
      const double numerator = 1.0 + kHalf<TypeParam> + j * step;
      const SlowPaths taken =
          this->Taken({.logits = {1, 1}, .upstream = numerator});
      if (std::abs(j * step) >= kHalf<TypeParam>) continue;  // other middles
      EXPECT_EQ(taken.unlimited > 0, j == 0) << j << " of " << step;
      if (std::abs(j * step) >= 0x1p-44) {
        EXPECT_EQ(taken.careful, 0) << j << " of " << step;
      }
      if (std::abs(j * step) <= 0x1p-50) {
        EXPECT_GT(taken.careful, 0) << j << " of " << step;
      }
    }
  }
}

// Probabilities and gradients near middles by chance, as they are met in use:
// the one in millions that the fast way leaves.
TEST(ChanceTest, WhatIsLeftInDoubtIsDecidedRight) {
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal(0, 20);
  int64_t decided = 0;
  for (int i = 0; i < 5000; ++i) {
    EngineRow row = {.logits = {}, .scale = 0.9};  // doubts more
    for (int c = 0; c < 1000; ++c) row.logits.push_back(normal(random));
    RowScratch scratch;
    RunEngine<float>(row, scratch);
    if (scratch.slow_paths.careful == 0) continue;
    ++decided;
    ExpectAsTheOracle<float>(row, scratch);
  }
  std::cout << decided << " rows of 5000 had an element in doubt\n";
  EXPECT_GE(decided, 1);
}

// Two classes whose probabilities p are their targets q but for 2^-k: t is next
// to p, and the smoothing s, with s (1/2 - t) = p - t, makes up the difference.
TYPED_TEST(WaysTest, KeepDifferencesThatCancelToManyBits) {
  constexpr mpfr_prec_t kBits = 400;
  for (const double x : {-0.5, -1.25, -3.0}) {
    EngineRow row = {.logits = {x, 0.25}, .label = 1, .probabilities = {0, 0}};
    const ExactReal p = OracleOf<TypeParam>(row).probabilities[1];
    // Above p: the smoothing is positive.
    const double t = std::nextafter(RoundTo<double>(p), 1.0);
    const auto real = [&](double value) { return ExactReal(kBits, value); };
    for (const int k : {20, 30, 45, 60, 75, 90, 100}) {
      for (const double sign : {1.0, -1.0}) {
        const ExactReal miss = p + real(sign * std::ldexp(1.0, -k)) - real(t);
        const double s = RoundTo<double>(miss / (real(0.5) - real(t)));
        if (s <= 0.0) continue;
        row.probabilities = {1.0 - t, t};  // they add up to 1, exactly
        row.smoothing = s;
        row.upstream = std::ldexp(1.0, k);
        const SlowPaths taken = this->Taken(row);
        if (k >= 45) {
          EXPECT_GT(taken.careful, 0) << "2^-" << k;
        }
        if (k >= 90) {
          EXPECT_GT(taken.unlimited, 0) << "2^-" << k;
        }
      }
    }
  }
}

// A gradient 2^-54 and less from a middle, by the choice of its factors, of a
// class far below: here the careful exponential decides, or says that it
// cannot, and its own error matters.
TYPED_TEST(WaysTest, CarefulIsNoSurerThanItsExponentialsAre) {
  std::mt19937_64 random(4);
  std::uniform_real_distribution<double> around_one(1, 2);
  const auto real = [](double value) { return ExactReal(400, value); };
  // Next to the middle between two multiples of ln2 / 8, where the polynomial's
  // argument is largest; a multiple of 4 is a number of every type.
  const auto furthest = [](double below) {
    double x = below;
    const auto distance = [](double logit) {
      const double eighths = logit * 8 / M_LN2;
      return std::abs(eighths - std::round(eighths));
    };
    for (double logit = below; logit > below - 100; logit -= 4) {
      if (distance(logit) > distance(x)) x = logit;
    }
    return x;
  };
  for (const double below : {0.0, -200.0, -400.0, -580.0}) {
    const double x = furthest(below);
    EngineRow row = {.logits = {0, x}};
    const ExactReal p = OracleOf<TypeParam>(row).probabilities[1];
    int64_t careful = 0;
    for (int i = 0; i < 400; ++i) {
      row.row_weight = around_one(random) * 0x1p90;
      row.denominator = around_one(random) * 0x1p-180;
      const double odd = 1.0 + (2 * (i % 50) + 1) * kHalf<TypeParam>;
      // Rounded, it misses the middle by up to 2^-53.
      row.upstream = RoundTo<double>(real(odd) * real(row.denominator) /
                                     (real(row.row_weight) * p));
      careful += this->Taken(row).careful;
    }
    EXPECT_GT(careful, 300);
  }
}

// A thread remembers whether its last row had logits far below the others: the
// next one's results are the same, the loss's last bit included.
TYPED_TEST(WaysTest, DoNotDependOnTheRowBefore) {
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal(0, 5);
  RowScratch shared;
  for (int i = 0; i < 3000; ++i) {
    EngineRow row;
    // Far from 0 what the targets add up to cancels in the loss.
    const double level = 5.0 * (i % 20);
    for (int c = 0; c < 5 + i % 40; ++c) {
      row.logits.push_back(level + normal(random));
    }
    row.label = static_cast<int64_t>(random() % row.logits.size());
    row.smoothing = i % 3 == 0 ? 0.0 : 0.1 + 0.008 * (i % 100);
    row.z_loss = i % 4 == 0 ? 0.1 : 0.0;
    if (i % 7 < 3) row.logits[0] = i % 7 == 0 ? -kInfinity : -1000;
    if (row.label == 0) row.smoothing = 0.0;
    RowScratch own;
    const EngineResults want = RunEngine<TypeParam>(row, own);
    const EngineResults got = RunEngine<TypeParam>(row, shared);
    ASSERT_TRUE(SameBits(got.row.loss, want.row.loss))
        << "row " << i << ": " << got.row.loss << ", want " << want.row.loss;
    ASSERT_EQ(got.row.rounded_loss, want.row.rounded_loss);
    ASSERT_EQ(got.row.log_sum_exp, want.row.log_sum_exp);
    ASSERT_EQ(got.gradient, want.gradient);
    ASSERT_EQ(got.probabilities, want.probabilities);
  }
}

// Masks cost no slow way: what is exactly 0 is not in doubt.
TYPED_TEST(WaysTest, AreNotTakenForMasks) {
  EngineRow row = {.logits = std::vector<double>(500, -kInfinity)};
  for (int i = 0; i < 500; i += 3) row.logits[i] = -0.01 * (i % 70);
  EXPECT_EQ(this->Taken(row).careful, 0);
  row.upstream = -1.0;
  EXPECT_EQ(this->Taken(row).careful, 0);
  row.z_loss = 0.1;
  EXPECT_EQ(this->Taken(row).careful, 0);
}

template <typename T>
class EdgesTest : public ::testing::Test {
 protected:
  static void ExpectAsOracle(const EngineRow& row) {
    RowScratch scratch;
    ExpectAsTheOracle<T>(row, scratch);
  }
};
using AllTypes = ::testing::Types<float, Float16, BFloat16, double>;
TYPED_TEST_SUITE(EdgesTest, AllTypes);

// One class: p = 1 and q is the total, so that all but a z-loss is exactly 0.
TYPED_TEST(EdgesTest, OneClassIsExactlyZero) {
  for (const double logit : {0.0, 3.5, -700.0, 60000.0}) {
    for (const double smoothing : {0.0, 0.3, 1.0}) {
      for (const double upstream : {1.0, -3.0}) {
        const EngineRow row = {.logits = {logit},
                               .class_weights = {0.7},
                               .smoothing = smoothing,
                               .scale = 0.3,
                               .upstream = upstream};
        RowScratch scratch;
        const EngineResults got = RunEngine<TypeParam>(row, scratch);
        EXPECT_EQ(got.row.loss, 0.0);
        EXPECT_EQ(got.row.rounded_loss, 0.0);
        EXPECT_TRUE(SameBits(got.gradient[0], 0.0)) << got.gradient[0];
        EXPECT_EQ(got.probabilities[0], 1.0);
      }
    }
    this->ExpectAsOracle({.logits = {logit}, .z_loss = 0.3, .scale = 0.7});
  }
}

TYPED_TEST(EdgesTest, FactorsOfZeroAndDenominators) {
  const std::vector<double> logits = {0.5, -1, 2, -30};
  this->ExpectAsOracle({.logits = logits, .class_weights = {0, 1, 2, 3}});
  this->ExpectAsOracle({.logits = logits,
                        .class_weights = {0, 1, 2, 3},
                        .smoothing = 0.2,
                        .z_loss = 0.1});
  this->ExpectAsOracle({.logits = logits, .class_weights = {0, 0, 0, 0}});
  this->ExpectAsOracle(
      {.logits = logits, .class_weights = {0, 0, 0, 0}, .z_loss = 0.1});
  this->ExpectAsOracle({.logits = logits, .row_weight = 0});
  this->ExpectAsOracle(
      {.logits = logits, .smoothing = 0.3, .z_loss = 1, .row_weight = 0});
  this->ExpectAsOracle({.logits = logits, .upstream = 0});
  this->ExpectAsOracle({.logits = logits, .denominator = 0});
  for (const double denominator : {3.0, 0.1, 1e-100, 1e100}) {
    this->ExpectAsOracle({.logits = logits, .denominator = denominator});
    this->ExpectAsOracle(
        {.logits = logits, .smoothing = 0.3, .denominator = denominator});
    this->ExpectAsOracle(
        {.logits = logits, .z_loss = 0.5, .denominator = denominator});
  }
}

// The total, which multiplies the probabilities, is exactly 0, or so but for a
// logit far below: what is 0 in the fast way's factor has no relative error.
TYPED_TEST(EdgesTest, ATotalOfZeroMakesAGradientOfZero) {
  for (const double below : {31.0, 90.0, 700.0, 3000.0, kInfinity}) {
    this->ExpectAsOracle({.logits = {-1, -1 - below}, .z_loss = 0.5});
    this->ExpectAsOracle(
        {.logits = {-1 - below, -1}, .z_loss = 0.5, .upstream = -1});
    this->ExpectAsOracle(
        {.logits = {0, -below}, .class_weights = {0, 1}, .z_loss = 0.1});
    this->ExpectAsOracle({.logits = {-0.5, -0.5 - below, -kInfinity},
                          .smoothing = 0.5,
                          .z_loss = 0.5,
                          .scale = 2});
  }
}

}  // namespace
}  // namespace lossd::testing
