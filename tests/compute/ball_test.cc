// Balls hold every result of the numbers in their arguments: the ends of the
// arguments' balls are tried, whose sums and products are exact.
#include "server/compute/exact/ball.h"

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "server/compute/exact/big_float.h"

namespace lossd::testing {
namespace {

using compute::Ball;
using compute::BigFloat;
using compute::SignOf;

class BallTest : public ::testing::Test {
 protected:
  // Of up to 150 bits and any size; 0 at times.
  BigFloat DrawNumber() {
    if (random_() % 12 == 0) return BigFloat();
    std::vector<uint64_t> limbs(1 + random_() % 3);
    for (uint64_t& limb : limbs) limb = random_();
    return BigFloat::FromLimbs(random_() % 2 == 0 ? 1 : -1, limbs, 0) *
           BigFloat::PowerOfTwo(static_cast<int64_t>(random_() % 240) - 120);
  }

  Ball DrawBall() {
    const BigFloat middle = DrawNumber();
    const BigFloat radius = random_() % 4 == 0 ? BigFloat() : Abs(DrawNumber());
    if (random_() % 2 == 0 || middle.sign() == 0) return {middle, radius};
    return {middle, ProductOfSizes(middle, BigFloat::PowerOfTwo(-80))};
  }

  static std::vector<BigFloat> Ends(const Ball& ball) {
    return {ball.middle - ball.radius, ball.middle, ball.middle + ball.radius};
  }

  static bool Holds(const Ball& ball, const BigFloat& x) {
    return Abs(x - ball.middle) <= ball.radius;
  }

  // No larger than it has to be: `slack` and what the arguments' radii make of
  // it.
  static bool IsTight(const Ball& ball, const BigFloat& needed, int64_t bits) {
    BigFloat most = BigFloat(1.01) * needed;
    if (ball.middle.sign() != 0) {
      most = most + BigFloat::PowerOfTwo(ball.middle.exponent() + 4 - bits);
    }
    return ball.radius <= most;
  }

  std::mt19937_64 random_{1};
};

TEST_F(BallTest, SumsHoldEverySum) {
  for (int i = 0; i < 3000; ++i) {
    const Ball a = DrawBall(), b = DrawBall();
    const int64_t bits = 20 + static_cast<int64_t>(random_() % 200);
    const Ball sum = Add(a, b, bits);
    for (const BigFloat& x : Ends(a)) {
      for (const BigFloat& y : Ends(b)) {
        ASSERT_TRUE(Holds(sum, x + y)) << bits;
      }
    }
  }
}

// Where one term cannot be seen beside the other it goes into the radius: the
// sum stays short.
TEST_F(BallTest, SumsOfVeryDifferentSizesStayShort) {
  for (const int64_t distance : {100, 1000, 1 << 30}) {
    const Ball one = compute::Exactly(BigFloat(1.0));
    const Ball small = compute::Exactly(BigFloat::PowerOfTwo(-distance));
    for (const Ball& sum : {Add(one, small, 40), Add(small, one, 40)}) {
      EXPECT_LE(sum.middle.limbs().size(), 2u);
      EXPECT_TRUE(Holds(sum, BigFloat(1.0)));
      EXPECT_EQ(SignOf(sum), 1);
    }
  }
}

TEST_F(BallTest, ProductsHoldEveryProduct) {
  for (int i = 0; i < 3000; ++i) {
    const Ball a = DrawBall(), b = DrawBall();
    const int64_t bits = 20 + static_cast<int64_t>(random_() % 200);
    const Ball product = Multiply(a, b, bits);
    for (const BigFloat& x : Ends(a)) {
      for (const BigFloat& y : Ends(b)) {
        ASSERT_TRUE(Holds(product, x * y)) << bits;
      }
    }
    const BigFloat needed = Abs(a.middle) * b.radius +
                            a.radius * Abs(b.middle) + a.radius * b.radius;
    ASSERT_TRUE(IsTight(product, needed, bits)) << bits;
  }
}

TEST_F(BallTest, QuotientsHoldEveryQuotient) {
  int tried = 0;
  for (int i = 0; i < 3000; ++i) {
    const Ball a = DrawBall(), b = DrawBall();
    if (b.middle.sign() == 0 || BigFloat(2.0) * b.radius >= Abs(b.middle)) {
      continue;  // not what Divide is for
    }
    ++tried;
    const int64_t bits = 20 + static_cast<int64_t>(random_() % 200);
    const Ball quotient = Divide(a, b, bits);
    // |x / y - q| <= r, times |y|: exact.
    for (const BigFloat& x : Ends(a)) {
      for (const BigFloat& y : Ends(b)) {
        ASSERT_LE(Abs(x - quotient.middle * y), quotient.radius * Abs(y))
            << bits;
      }
    }
  }
  EXPECT_GT(tried, 1000);
}

TEST_F(BallTest, ShortenedHoldsWhatItShortens) {
  for (int i = 0; i < 3000; ++i) {
    const Ball a = DrawBall();
    const int64_t bits = 5 + static_cast<int64_t>(random_() % 200);
    const Ball shortened = Shortened(a.middle, a.radius, bits);
    for (const BigFloat& x : Ends(a)) ASSERT_TRUE(Holds(shortened, x)) << bits;
    ASSERT_TRUE(IsTight(shortened, a.radius, bits)) << bits;
  }
}

TEST_F(BallTest, BoundsOfRadiiAreNeverBelow) {
  for (int i = 0; i < 3000; ++i) {
    const BigFloat a = Abs(DrawNumber()), b = Abs(DrawNumber());
    ASSERT_GE(SumOfRadii(a, b), a + b);
    ASSERT_LE(SumOfRadii(a, b), BigFloat(1.0 + 0x1p-50) * (a + b));
    ASSERT_GE(compute::ProductOfSizes(a, b), a * b);
    ASSERT_LE(compute::ProductOfSizes(a, b), BigFloat(1.0 + 0x1p-50) * (a * b));
  }
}

TEST_F(BallTest, SignsAreKnownOnlyBeyondTheRadius) {
  const BigFloat one(1.0);
  EXPECT_EQ(SignOf({one, BigFloat(0.5)}), 1);
  EXPECT_EQ(SignOf({-one, BigFloat(0.5)}), -1);
  EXPECT_EQ(SignOf({one, one}), 0);
  EXPECT_EQ(SignOf({one, BigFloat(1.0 + 0x1p-52)}), 0);
  EXPECT_EQ(SignOf({BigFloat(), BigFloat()}), 0);
  EXPECT_EQ(SignOf(compute::Exactly(one)), 1);
}

}  // namespace
}  // namespace lossd::testing
