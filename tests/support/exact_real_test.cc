#include "tests/support/exact_real.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <utility>

#include "gtest/gtest.h"
#include "server/compute/narrow_float.h"
#include "tests/support/elements.h"

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

template <typename T>
class NarrowExactRealTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kInfinityBits = (2u * T::kMaxExponent + 1)
                                            << T::kMantissaBits;
  // The positive number with these bits, as a real; that of infinity's bits is
  // the power of two past the largest.
  static ExactReal Real(uint32_t bits) {
    if (bits < kInfinityBits) {
      return {kPrecision, Wide(T{static_cast<uint16_t>(bits)})};
    }
    return {kPrecision, std::ldexp(1.0, T::kMaxExponent + 1)};
  }
  static void ExpectBothSigns(ExactReal real, uint32_t bits) {
    EXPECT_EQ(RoundTo<T>(real).bits, bits);
    mpfr_neg(real.get(), real.get(), MPFR_RNDN);
    EXPECT_EQ(RoundTo<T>(real).bits, 0x8000u | bits);
  }
};
using NarrowTypes = ::testing::Types<compute::Float16, compute::BFloat16>;
TYPED_TEST_SUITE(NarrowExactRealTest, NarrowTypes);

// Every number, subnormal or normal, and what lies around the middle between it
// and the next, which is infinity after the largest.
TYPED_TEST(NarrowExactRealTest, RoundsOnceAroundEveryNumberAndMiddle) {
  const ExactReal half(kPrecision, 0.5);
  for (uint32_t bits = 0; bits < this->kInfinityBits; ++bits) {
    const ExactReal number = this->Real(bits);
    this->ExpectBothSigns(number, bits);
    ExactReal middle = (number + this->Real(bits + 1)) * half;
    this->ExpectBothSigns(middle, bits + (bits & 1));
    mpfr_nextbelow(middle.get());
    this->ExpectBothSigns(middle, bits);
    mpfr_nextabove(middle.get());
    mpfr_nextabove(middle.get());
    this->ExpectBothSigns(middle, bits + 1);
  }
}

TYPED_TEST(NarrowExactRealTest, KeepsZerosInfinitiesAndNaN) {
  const double infinity = std::numeric_limits<double>::infinity();
  this->ExpectBothSigns(ExactReal(64, 0.0), 0);
  this->ExpectBothSigns(ExactReal(64, infinity), this->kInfinityBits);
  this->ExpectBothSigns(ExactReal(64, 1e300), this->kInfinityBits);
  this->ExpectBothSigns(ExactReal(64, 1e-300), 0);
  EXPECT_EQ(RoundTo<TypeParam>(ExactReal(64)).bits,
            this->kInfinityBits | 1u << (TypeParam::kMantissaBits - 1));
}

// Both round once, by different means.
TYPED_TEST(NarrowExactRealTest, AgreesWithTheCoresConversion) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> exponent(-160, 140);
  for (int i = 0; i < 100'000; ++i) {
    const double value = std::exp2(exponent(random)) * (i % 2 == 0 ? 1 : -1);
    EXPECT_EQ(RoundTo<TypeParam>(ExactReal(64, value)),
              compute::FromDouble<TypeParam>(value))
        << value;
  }
}

TYPED_TEST(NarrowExactRealTest, CountsErrorsInUlpsOfTheExactValue) {
  const double ulp = std::ldexp(1.0, -TypeParam::kMantissaBits);
  const auto one = compute::FromDouble<TypeParam>(1);
  const auto up = compute::FromDouble<TypeParam>(1 + ulp);
  EXPECT_EQ(ErrorInUlps(up, ExactReal(kPrecision, 1)), 1);
  EXPECT_EQ(ErrorInUlps(one, ExactReal(kPrecision, 1 + ulp / 4)), 0.25);
  EXPECT_EQ(ErrorInUlps(one, ExactReal(kPrecision, 1 - ulp / 2)), 1);
  const TypeParam least{1};
  EXPECT_EQ(ErrorInUlps(TypeParam{3}, ExactReal(kPrecision, Wide(least))), 2);
  EXPECT_EQ(ErrorInUlps(TypeParam{0}, ExactReal(kPrecision, Wide(least))), 1);
}

TYPED_TEST(NarrowExactRealTest, TakesTheInfinityOfAnOverflowForRight) {
  const TypeParam infinity{static_cast<uint16_t>(this->kInfinityBits)};
  const double largest =
      Wide(TypeParam{static_cast<uint16_t>(this->kInfinityBits - 1)});
  EXPECT_EQ(ErrorInUlps(infinity, ExactReal(64, 2 * largest)), 0);
  EXPECT_EQ(ErrorInUlps(infinity, ExactReal(64, largest)),
            std::numeric_limits<double>::infinity());
  EXPECT_EQ(ErrorInUlps(infinity, ExactReal(64)),
            std::numeric_limits<double>::infinity());
}

TEST(ElementTypeTest, ChoosesTheTypeToRoundTo) {
  using compute::ElementType;
  ExactReal third(kPrecision, 1);
  mpfr_div_ui(third.get(), third.get(), 3, MPFR_RNDN);
  const std::pair<ElementType, double> cases[] = {
      {ElementType::kFloat16, 0x1.554p-2},
      {ElementType::kBFloat16, 0x1.56p-2},
      {ElementType::kFloat32, 0x1.555556p-2},
      {ElementType::kFloat64, 0x1.5555555555555p-2}};
  for (const auto& [type, want] : cases) {
    EXPECT_EQ(RoundToType(type, third), want);
    EXPECT_LT(ErrorInUlpsOfType(type, want, third), 0.5);
    EXPECT_GT(ErrorInUlpsOfType(type, want, third), 0.3);
  }
}

TEST(ExactRealArithmeticTest, RoundsAtTheHigherPrecision) {
  const ExactReal one(53, 1);
  const ExactReal three(100, 3);
  ExactReal third(100);
  mpfr_ui_div(third.get(), 1, three.get(), MPFR_RNDN);
  EXPECT_TRUE(mpfr_equal_p((one / three).get(), third.get()));
  EXPECT_EQ(RoundTo<double>(one + three), 4);
  EXPECT_EQ(RoundTo<double>(one - three), -2);
  EXPECT_EQ(RoundTo<double>(three * three), 9);
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
