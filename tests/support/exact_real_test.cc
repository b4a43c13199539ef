#include "tests/support/exact_real.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace lossd::testing {
namespace {

constexpr mpfr_prec_t kPrecision = 400;

// a + b, exactly.
ExactReal Sum(double a, double b) {
  ExactReal sum(kPrecision * 8, a);
  mpfr_add_d(sum.get(), sum.get(), b, MPFR_RNDN);
  return sum;
}

// The point half-way between the T below and above, its neighbours nudged by
// the smallest amount a double has.
template <typename T>
void ExpectMidpointRoundsToEven(T even, T odd) {
  ExactReal middle = Sum(even, odd);
  mpfr_div_2ui(middle.get(), middle.get(), 1, MPFR_RNDN);
  EXPECT_EQ(RoundTo<T>(middle), even);
  ExactReal nudged = middle;
  mpfr_nextabove(nudged.get());
  EXPECT_EQ(RoundTo<T>(nudged), std::max(even, odd));
  nudged = middle;
  mpfr_nextbelow(nudged.get());
  EXPECT_EQ(RoundTo<T>(nudged), std::min(even, odd));
}

template <typename T>
class ExactRealTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(ExactRealTest, Types);

TYPED_TEST(ExactRealTest, RoundsMidpointsToEvenAmongNormalNumbers) {
  const TypeParam up = std::nextafter(TypeParam{1}, TypeParam{2});
  ExpectMidpointRoundsToEven<TypeParam>(1, up);
  ExpectMidpointRoundsToEven<TypeParam>(std::nextafter(up, TypeParam{2}), up);
}

TYPED_TEST(ExactRealTest, RoundsMidpointsToEvenAmongSubnormalNumbers) {
  const TypeParam least = std::numeric_limits<TypeParam>::denorm_min();
  ExpectMidpointRoundsToEven<TypeParam>(0, least);
  ExpectMidpointRoundsToEven<TypeParam>(2 * least, least);
  ExpectMidpointRoundsToEven<TypeParam>(1000 * least, 1001 * least);
  ExpectMidpointRoundsToEven<TypeParam>(-2 * least, -3 * least);
  const TypeParam normal = std::numeric_limits<TypeParam>::min();
  ExpectMidpointRoundsToEven<TypeParam>(normal, normal - least);
}

// A first rounding to T's precision would land on the midpoint, a second one
// then on the even neighbour: the wrong one.
TYPED_TEST(ExactRealTest, RoundsSubnormalResultsOnlyOnce) {
  const TypeParam least = std::numeric_limits<TypeParam>::denorm_min();
  ExactReal value(kPrecision, least);
  mpfr_div_2ui(value.get(), value.get(), 1, MPFR_RNDN);  // half: a midpoint
  EXPECT_EQ(RoundTo<TypeParam>(value), 0);
  ExactReal tiny = value;
  mpfr_div_2ui(tiny.get(), tiny.get(), 200, MPFR_RNDN);
  mpfr_add(value.get(), value.get(), tiny.get(), MPFR_RNDN);
  EXPECT_EQ(RoundTo<TypeParam>(value), least);
}

TYPED_TEST(ExactRealTest, KeepsInfinitiesAndNaN) {
  const TypeParam infinity = std::numeric_limits<TypeParam>::infinity();
  EXPECT_EQ(RoundTo<TypeParam>(ExactReal(64, infinity)), infinity);
  EXPECT_EQ(RoundTo<TypeParam>(ExactReal(64, -infinity)), -infinity);
  EXPECT_TRUE(std::isnan(RoundTo<TypeParam>(ExactReal(64))));
}

TYPED_TEST(ExactRealTest, CountsErrorsInUlpsOfTheExactValue) {
  const TypeParam one = 1;
  const TypeParam up = std::nextafter(one, TypeParam{2});
  const TypeParam down = std::nextafter(one, TypeParam{0});
  EXPECT_EQ(ErrorInUlps(up, ExactReal(kPrecision, 1)), 1);
  EXPECT_EQ(ErrorInUlps(down, ExactReal(kPrecision, 1)), 0.5);
  EXPECT_EQ(ErrorInUlps(one, ExactReal(kPrecision, down)), 1);
  EXPECT_EQ(ErrorInUlps(-one, ExactReal(kPrecision, -1)), 0);
  ExactReal third(kPrecision, 1);
  mpfr_div_ui(third.get(), third.get(), 3, MPFR_RNDN);
  EXPECT_LE(ErrorInUlps(RoundTo<TypeParam>(third), third), 0.5);
  EXPECT_GT(ErrorInUlps(RoundTo<TypeParam>(third), third), 0.3);
}

TYPED_TEST(ExactRealTest, CountsErrorsOfSubnormalsInTheSmallestNumber) {
  const TypeParam least = std::numeric_limits<TypeParam>::denorm_min();
  EXPECT_EQ(ErrorInUlps(3 * least, ExactReal(kPrecision, least)), 2);
  EXPECT_EQ(ErrorInUlps(TypeParam{0}, ExactReal(kPrecision, least)), 1);
  EXPECT_EQ(ErrorInUlps(least, ExactReal(kPrecision, 0)), 1);
}

TYPED_TEST(ExactRealTest, TakesOneSidedNonFiniteValuesForInfiniteErrors) {
  const TypeParam infinity = std::numeric_limits<TypeParam>::infinity();
  const TypeParam nan = std::numeric_limits<TypeParam>::quiet_NaN();
  EXPECT_EQ(ErrorInUlps(infinity, ExactReal(64, infinity)), 0);
  EXPECT_EQ(ErrorInUlps(nan, ExactReal(64)), 0);
  EXPECT_EQ(ErrorInUlps(-infinity, ExactReal(64, infinity)), infinity);
  EXPECT_EQ(ErrorInUlps(nan, ExactReal(64, 1)), infinity);
  EXPECT_EQ(ErrorInUlps(TypeParam{1}, ExactReal(64)), infinity);
  EXPECT_EQ(ErrorInUlps(infinity, ExactReal(64, 1)), infinity);
}

TYPED_TEST(ExactRealTest, TakesTheInfinityOfAnOverflowForRight) {
  ExactReal huge(64, std::numeric_limits<TypeParam>::max());
  const TypeParam infinity = std::numeric_limits<TypeParam>::infinity();
  EXPECT_EQ(ErrorInUlps(infinity, huge),
            std::numeric_limits<double>::infinity());
  mpfr_mul_ui(huge.get(), huge.get(), 2, MPFR_RNDN);
  EXPECT_EQ(ErrorInUlps(infinity, huge), 0);
}

TEST(RelativeErrorTest, IsTheDifferenceOverTheExactValue) {
  EXPECT_EQ(RelativeError(1.5, ExactReal(64, 2)), 0.25);
  EXPECT_EQ(RelativeError(-2, ExactReal(64, -2)), 0);
  EXPECT_EQ(RelativeError(0, ExactReal(64, 0)), 0);
  EXPECT_EQ(RelativeError(1, ExactReal(64, 0)),
            std::numeric_limits<double>::infinity());
}

TEST(UlpDistanceTest, CountsRepresentableValuesAcrossZero) {
  const float least = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(UlpDistance(1.0f, std::nextafter(1.0f, 2.0f)), 1);
  EXPECT_EQ(UlpDistance(0.0f, -0.0f), 0);
  EXPECT_EQ(UlpDistance(-least, least), 2);
  EXPECT_EQ(UlpDistance(1.0, 2.0), int64_t{1} << 52);
  EXPECT_EQ(UlpDistance(1.0f, 2.0f), 1 << 23);
  EXPECT_EQ(UlpDistance(std::nanf(""), 1.0f),
            std::numeric_limits<int64_t>::max());
  EXPECT_EQ(UlpDistance(-std::numeric_limits<float>::max(),
                        std::numeric_limits<float>::max()),
            int64_t{2} * 0x7F7FFFFF);
}

}  // namespace
}  // namespace lossd::testing
