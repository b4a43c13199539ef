// Ties of RealRow's results, and near ties: what breaks one may be too small
// for any number of bits. Which way it is broken is known beforehand, from the
// derivatives by R, the sum of the exponentials below the largest, and
// L = ln(1 + R), which is R - R^2 / 2 + ...
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "server/compute/exact/real_row.h"

namespace lossd::testing {
namespace {

using compute::ElementType;
using compute::RealRow;
using compute::RowTask;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The row owns what its task points at.
struct Row {
  explicit Row(std::vector<double> row_logits, int64_t label = 0)
      : logits(std::move(row_logits)) {
    task.type = ElementType::kFloat64;
    task.logits = reinterpret_cast<const std::byte*>(logits.data());
    task.classes = static_cast<int64_t>(logits.size());
    task.label = label;
  }
  Row(const Row&) = delete;
  Row& operator=(const Row&) = delete;

  RealRow Real() const {
    return {task, *std::max_element(logits.begin(), logits.end())};
  }

  std::vector<double> logits;
  RowTask task;
};

// How far below the maximum what breaks a tie lies: exp(-3e38) is 0 to any
// number of bits.
constexpr double kDistances[] = {100, 700, 3000, 1e6, 1e11, 1e12, 3e38, 1e300};

class TiesTest : public ::testing::TestWithParam<ElementType> {
 protected:
  // What lies between two numbers just above 1.
  double Step() const {
    switch (GetParam()) {
      case ElementType::kFloat16:
        return 0x1p-10;
      case ElementType::kBFloat16:
        return 0x1p-7;
      default:
        return 0x1p-23;
    }
  }
  // The middle between the first two, and between the next two numbers from 1
  // on: to even, these go down and up.
  double First() const { return 1.0 + 0.5 * Step(); }
  double Second() const { return 1.0 + 1.5 * Step(); }

  // `size` times a middle, plus or less something: its neighbours of the type.
  // A tie taken for one would give the other number.
  double AboveFirst(double size) const { return size * (1.0 + Step()); }
  double BelowSecond(double size) const { return size * (1.0 + Step()); }

  double Gradient(const Row& row, int64_t i) const {
    return row.Real().Gradient(i, GetParam());
  }
  double Loss(const Row& row) const { return row.Real().Loss(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(Types, TiesTest,
                         ::testing::Values(ElementType::kFloat16,
                                           ElementType::kBFloat16,
                                           ElementType::kFloat32));

// Equal logits: p is 1 / M.
TEST_P(TiesTest, GoToEven) {
  for (const double logit : {0.0, -3.0, 1e6}) {
    for (const double divisor : {1.0, 3.0}) {
      Row row({logit, logit, -kInfinity, logit, logit});
      row.task.denominator = divisor;
      row.task.upstream = divisor * First();
      EXPECT_EQ(Gradient(row, 1), 0.25);
      row.task.upstream = -divisor * Second();
      EXPECT_EQ(Gradient(row, 3), -0.25 * (1.0 + 2 * Step()));
    }
  }
}

// 25 odd bits may come from the class weight, the row's weight or the scale.
TEST_P(TiesTest, GoToEvenWhateverMakesThem) {
  const std::vector<double> weights = {First(), 1, 1};
  Row row({2, 2, -kInfinity});
  row.task.targets.class_weights = weights.data();
  EXPECT_EQ(Gradient(row, 1), 0.5);
  row.task.row_weight = 2;
  EXPECT_EQ(Gradient(row, 1), 1.0);
  row.task.targets.class_weights = nullptr;
  row.task.row_weight = Second();
  EXPECT_EQ(Gradient(row, 1), 0.5 * (1.0 + 2 * Step()));
  row.task.row_weight = 1;
  row.task.scale = First();
  EXPECT_EQ(Gradient(row, 1), 0.5);
  row.task.targets.smoothing = 0.75;  // q is 1/2 and 1/4
  EXPECT_EQ(Gradient(row, 1), 0.25);
  EXPECT_EQ(Gradient(row, 2), -0.25);  // impossible: -q alone
  EXPECT_EQ(Gradient(row, 0), 0.0);
}

// Another class takes from p = 1 / M.
TEST_P(TiesTest, AreBrokenByAClassHoweverFarBelow) {
  for (const double below : kDistances) {
    Row row({1, 1, 1 - below});
    row.task.upstream = Second();
    EXPECT_EQ(Gradient(row, 1), BelowSecond(0.5)) << below;
    row.task.upstream = First();
    EXPECT_EQ(Gradient(row, 1), 0.5) << below;
    // 1 / M - 1 grows in size.
    EXPECT_EQ(Gradient(row, 0), -AboveFirst(0.5)) << below;
  }
}

// p / (1 + R) with the total T + 2 z L, T rational: 2 z - T decides.
TEST_P(TiesTest, WithAZLossAreBrokenByAClassHoweverFarBelow) {
  for (const double below : kDistances) {
    // T = 1 + 2 z a = 2: it falls.
    Row falls({1 - below, 1});
    falls.task.z_loss = 0.5;
    falls.task.upstream = Second();
    EXPECT_EQ(Gradient(falls, 1), BelowSecond(2)) << below;
    // T = 1/2: it grows.
    Row grows({-0.5 - below, -0.5});
    grows.task.z_loss = 0.5;
    grows.task.upstream = First();
    EXPECT_EQ(Gradient(grows, 1), AboveFirst(0.5)) << below;
    grows.task.upstream = -First();
    EXPECT_EQ(Gradient(grows, 1), -AboveFirst(0.5)) << below;
    // T = 1 = 2 z: (1 + L) / (1 + R) falls by R^2 / 2.
    Row equal({-below, 0});
    equal.task.z_loss = 0.5;
    equal.task.upstream = Second();
    EXPECT_EQ(Gradient(equal, 1), BelowSecond(1)) << below;
    // At the label, T - 1 + (L - R) over 1 + R.
    Row label({1, 1 - below});
    label.task.z_loss = 0.5;
    label.task.upstream = Second();
    EXPECT_EQ(Gradient(label, 0), BelowSecond(1)) << below;
  }
}

// A total of 0 but for L: the gradient of a class other than the label is next
// to nothing, and its sign that of L.
TEST_P(TiesTest, OfATotalThatCancelsAreBrokenByItsLogarithm) {
  for (const double below : kDistances) {
    Row row({-1, -1 - below, -kInfinity});
    row.task.z_loss = 0.5;
    row.task.targets.smoothing = 0.75;  // q is 1/2, 1/4, 1/4
    row.task.upstream = First();
    // (0 + 2 z L) p - 1/4.
    EXPECT_EQ(Gradient(row, 1), -0.25) << below;
    row.task.upstream = Second();
    // For the impossible class the tie stands.
    EXPECT_EQ(Gradient(row, 2), -0.25 * (1.0 + 2 * Step())) << below;
  }
  Row alone({-1, -kInfinity});
  alone.task.z_loss = 0.5;
  EXPECT_EQ(Gradient(alone, 1), 0.0);
  EXPECT_EQ(Gradient(alone, 0), -1.0);
  Row zero({0, -kInfinity, -kInfinity}, 1);
  const std::vector<double> weights = {1, 0, 1};
  zero.task.targets.class_weights = weights.data();
  zero.task.z_loss = 0.3;
  for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(Gradient(zero, i), 0.0);
}

// Equal logits and targets: exactly 0, of either sign of its factor.
TEST_P(TiesTest, OfZeroAreZero) {
  for (const double upstream : {1.0, -1.0}) {
    for (const int64_t classes : {1, 3, 7}) {
      Row row(std::vector<double>(classes, 0.1));
      row.task.targets.smoothing = 1.0;
      row.task.upstream = upstream;
      for (int64_t i = 0; i < classes; ++i) {
        EXPECT_EQ(Gradient(row, i), 0.0);
      }
    }
  }
}

// Label at the maximum a: k (L + z (a + L)^2) = k (z a^2 + (1 + 2 z a) L + ..).
TEST_P(TiesTest, OfTheLossAreBrokenBothWays) {
  for (const double below : kDistances) {
    Row grows({1, 1 - below});
    grows.task.z_loss = 0.5;
    grows.task.row_weight = First();
    EXPECT_EQ(Loss(grows), AboveFirst(0.5)) << below;
    Row falls({-2, -2 - below});
    falls.task.z_loss = 0.5;
    falls.task.row_weight = Second();
    EXPECT_EQ(Loss(falls), BelowSecond(2)) << below;
    // 1 + 2 z a = 0: z L^2 is left.
    Row square({-1, -1 - below});
    square.task.z_loss = 0.5;
    square.task.row_weight = First();
    EXPECT_EQ(Loss(square), AboveFirst(0.5)) << below;
  }
  Row tie({1, -kInfinity});
  tie.task.z_loss = 0.5;
  tie.task.row_weight = First();
  EXPECT_EQ(Loss(tie), 0.5);
  tie.task.row_weight = Second();
  EXPECT_EQ(Loss(tie), 0.5 * (1.0 + 2 * Step()));
}

TEST_P(TiesTest, OfLogSumExpAreBrokenByAClassHoweverFarBelow) {
  for (const double below : kDistances) {
    const Row first({First(), First() - below});
    EXPECT_EQ(first.Real().LogSumExp(GetParam()), AboveFirst(1)) << below;
    // -1 and the next number further from 0: the sum pulls towards 0.
    const Row second({-Second(), -Second() - below});
    EXPECT_EQ(second.Real().LogSumExp(GetParam()), -BelowSecond(1)) << below;
  }
  EXPECT_EQ(Row({First(), -kInfinity}).Real().LogSumExp(GetParam()), 1.0);
}

// ln(1 + exp(-below)) and probabilities next to 0 are positive, or 0.
TEST_P(TiesTest, OfZeroFromAboveAreNeverNegative) {
  for (const double below : kDistances) {
    const Row row({0, -below});
    EXPECT_FALSE(std::signbit(row.Real().LogSumExp(GetParam()))) << below;
    EXPECT_FALSE(std::signbit(row.Real().Probability(1, GetParam()))) << below;
    EXPECT_FALSE(std::signbit(row.Real().Gradient(1, GetParam()))) << below;
    EXPECT_FALSE(std::signbit(row.Real().Loss(GetParam()))) << below;
    EXPECT_EQ(row.Real().Probability(0, GetParam()), 1.0) << below;
  }
}

}  // namespace
}  // namespace lossd::testing
