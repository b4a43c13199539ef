// Float16 and bfloat16: every bit pattern, and every middle between two.
#include "server/compute/narrow_float.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

#include "gtest/gtest.h"
#include "tests/support/elements.h"
#include "tests/support/exact_real.h"

namespace lossd::testing {
namespace {

using compute::BFloat16;
using compute::Float16;
using compute::FromDouble;
using compute::ToDouble;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

static_assert(FromDouble<Float16>(1.0).bits == 0x3c00);
static_assert(FromDouble<BFloat16>(-2.0).bits == 0xc000);
static_assert(ToDouble(Float16{0x7bff}) == 65504.0);
static_assert(ToDouble(BFloat16{1}) == 0x1p-133);

template <typename T>
class NarrowFloatTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kInfinityBits = (2u * T::kMaxExponent + 1)
                                            << T::kMantissaBits;
  static constexpr uint16_t kNaN = kInfinityBits | 1u << (T::kMantissaBits - 1);

  // (-1)^sign mantissa 2^exponent, from the definition of the formats.
  static double ValueOf(uint32_t bits) {
    const double sign = bits >= 0x8000 ? -1.0 : 1.0;
    const uint32_t exponent = (bits & 0x7fff) >> T::kMantissaBits;
    const uint32_t fraction = bits & ((1u << T::kMantissaBits) - 1);
    if (exponent == 0) {
      return sign *
             std::ldexp(fraction, 1 - T::kMaxExponent - T::kMantissaBits);
    }
    return sign * std::ldexp(fraction + (1u << T::kMantissaBits),
                             static_cast<int>(exponent) - T::kMaxExponent -
                                 T::kMantissaBits);
  }

  static T Of(uint32_t bits) { return T{static_cast<uint16_t>(bits)}; }

  // Rounds to `bits`, and its negative to their negative.
  static void ExpectRoundsTo(double value, uint32_t bits) {
    EXPECT_EQ(FromDouble<T>(value), Of(bits)) << std::hexfloat << value;
    EXPECT_EQ(FromDouble<T>(-value), Of(bits | 0x8000))
        << std::hexfloat << -value;
  }
};
using Types = ::testing::Types<Float16, BFloat16>;
TYPED_TEST_SUITE(NarrowFloatTest, Types);

TYPED_TEST(NarrowFloatTest, WidensEveryNumberExactly) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    if ((bits & 0x7fff) >= this->kInfinityBits) continue;
    ASSERT_TRUE(SameBits(ToDouble(this->Of(bits)), this->ValueOf(bits)))
        << bits;
  }
  EXPECT_EQ(ToDouble(this->Of(this->kInfinityBits)), kInfinity);
  EXPECT_EQ(ToDouble(this->Of(this->kInfinityBits | 0x8000)), -kInfinity);
}

TYPED_TEST(NarrowFloatTest, ComesBackFromDoubleAsItWas) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const bool is_nan = (bits & 0x7fff) > this->kInfinityBits;
    ASSERT_EQ(FromDouble<TypeParam>(ToDouble(this->Of(bits))),
              this->Of(is_nan ? this->kNaN : bits))
        << bits;
  }
}

TYPED_TEST(NarrowFloatTest, RoundsAtAndNextToEveryMiddle) {
  // Between the largest number and infinity the middle is that to the next
  // power of two.
  for (uint32_t bits = 0; bits < this->kInfinityBits; ++bits) {
    const double value = this->ValueOf(bits);
    const double middle = 0.5 * (value + this->ValueOf(bits + 1));
    this->ExpectRoundsTo(middle, bits + bits % 2);
    this->ExpectRoundsTo(std::nextafter(middle, 0.0), bits);
    this->ExpectRoundsTo(std::nextafter(middle, kInfinity), bits + 1);
    this->ExpectRoundsTo(value, bits);
    this->ExpectRoundsTo(std::nextafter(value, kInfinity), bits);
    if (bits > 0) this->ExpectRoundsTo(std::nextafter(value, 0.0), bits);
  }
}

TYPED_TEST(NarrowFloatTest, IsInfiniteFromTheUpperMiddleOn) {
  const uint32_t largest = this->kInfinityBits - 1;
  const double middle = 0.5 * (this->ValueOf(largest) +
                               std::ldexp(1.0, TypeParam::kMaxExponent + 1));
  this->ExpectRoundsTo(std::nextafter(middle, 0.0), largest);
  this->ExpectRoundsTo(middle, this->kInfinityBits);
  this->ExpectRoundsTo(std::ldexp(1.0, 500), this->kInfinityBits);
  this->ExpectRoundsTo(std::numeric_limits<double>::max(), this->kInfinityBits);
  this->ExpectRoundsTo(kInfinity, this->kInfinityBits);
}

TYPED_TEST(NarrowFloatTest, IsZeroOfTheSameSignUpToHalfTheLeastNumber) {
  const double least = this->ValueOf(1);
  this->ExpectRoundsTo(0.5 * least, 0);
  this->ExpectRoundsTo(std::nextafter(0.5 * least, 1.0), 1);
  for (double value : {0.0, 0.25 * least, std::ldexp(1.0, -600),
                       std::numeric_limits<double>::min(),
                       std::numeric_limits<double>::denorm_min()}) {
    this->ExpectRoundsTo(value, 0);
  }
}

TYPED_TEST(NarrowFloatTest, NanKeepsSignAndPayloadAndBecomesQuiet) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    if ((bits & 0x7fff) <= this->kInfinityBits) continue;
    const uint64_t sign = uint64_t{bits >> 15} << 63;
    const uint64_t payload = uint64_t{bits & 0x7fff}
                             << (52 - TypeParam::kMantissaBits);
    const uint64_t mantissa = payload & ((uint64_t{1} << 52) - 1);
    const uint64_t want =
        sign | uint64_t{0x7ff} << 52 | mantissa | uint64_t{1} << 51;
    ASSERT_EQ(std::bit_cast<uint64_t>(ToDouble(this->Of(bits))), want) << bits;
  }
}

TYPED_TEST(NarrowFloatTest, EveryNanBecomesTheCanonicalOne) {
  for (const uint64_t mantissa :
       {uint64_t{1}, uint64_t{1} << 51, (uint64_t{1} << 52) - 1,
        uint64_t{1} << 41, uint64_t{1} << 44, uint64_t{0x123456789}}) {
    for (const uint64_t sign : {uint64_t{0}, uint64_t{1} << 63}) {
      const auto nan =
          std::bit_cast<double>(sign | uint64_t{0x7ff} << 52 | mantissa);
      EXPECT_EQ(FromDouble<TypeParam>(nan), this->Of(this->kNaN));
    }
  }
}

// Over the whole range of doubles' exponents that matter.
TYPED_TEST(NarrowFloatTest, RoundsLikeTheOracle) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> mantissa(-2, 2);
  for (int i = 0; i < 100'000; ++i) {
    const int exponent = static_cast<int>(random() % 300) - 160;
    const double value = std::ldexp(mantissa(random), exponent);
    ASSERT_EQ(FromDouble<TypeParam>(value),
              RoundTo<TypeParam>(ExactReal(64, value)))
        << std::hexfloat << value;
  }
}

TEST(BFloat16Test, IsTheUpperHalfOfAFloat) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto whole = std::bit_cast<float>(bits << 16);
    if (std::isnan(whole)) continue;
    ASSERT_TRUE(SameBits(ToDouble(BFloat16{static_cast<uint16_t>(bits)}),
                         static_cast<double>(whole)));
  }
}

}  // namespace
}  // namespace lossd::testing
