// Conversions of float16 and bfloat16: every number, and what lies around every
// middle between two.
#include "server/compute/narrow_float.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace lossd::compute {
namespace {

template <typename T>
class NarrowFloatTest : public ::testing::Test {
 protected:
  static constexpr int kBits = T::kMantissaBits;
  static constexpr int kBias = T::kMaxExponent;
  static constexpr uint32_t kInfinity = (2 * kBias + 1) << kBits;

  static T Of(uint32_t bits) { return T{static_cast<uint16_t>(bits)}; }

  // By the definition of the format.
  static double Defined(uint32_t bits) {
    const int exponent = static_cast<int>(bits >> kBits);
    const int mantissa = static_cast<int>(bits & ((1u << kBits) - 1));
    if (exponent == 0) return std::ldexp(mantissa, 1 - kBias - kBits);
    return std::ldexp((1 << kBits) + mantissa, exponent - kBias - kBits);
  }
};

using Types = ::testing::Types<Float16, BFloat16>;
TYPED_TEST_SUITE(NarrowFloatTest, Types);

TYPED_TEST(NarrowFloatTest, WidensEveryNumberExactlyAndComesBack) {
  for (uint32_t bits = 0; bits < this->kInfinity; ++bits) {
    const double value = ToDouble(this->Of(bits));
    ASSERT_EQ(value, this->Defined(bits));
    ASSERT_EQ(FromDouble<TypeParam>(value).bits, bits);
    const double negative = ToDouble(this->Of(bits | 0x8000));
    ASSERT_EQ(negative, -value);
    ASSERT_TRUE(std::signbit(negative));
    ASSERT_EQ(FromDouble<TypeParam>(negative).bits, bits | 0x8000);
  }
}

// The middle after the largest number is that before the next power of two.
TYPED_TEST(NarrowFloatTest, RoundsMiddlesToEvenAndTheirNeighboursToTheNearest) {
  for (uint32_t bits = 0; bits < this->kInfinity; ++bits) {
    const double low = this->Defined(bits);
    const double middle = low + (this->Defined(bits + 1) - low) / 2;
    const uint32_t even = bits + (bits & 1);
    ASSERT_EQ(FromDouble<TypeParam>(middle).bits, even) << bits;
    ASSERT_EQ(FromDouble<TypeParam>(std::nextafter(middle, 0)).bits, bits);
    ASSERT_EQ(FromDouble<TypeParam>(std::nextafter(middle, HUGE_VAL)).bits,
              bits + 1);
    ASSERT_EQ(FromDouble<TypeParam>(-middle).bits, even | 0x8000);
  }
}

TYPED_TEST(NarrowFloatTest, KeepsInfinitiesAndTheSignOfZero) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  EXPECT_EQ(FromDouble<TypeParam>(kInfinite).bits, this->kInfinity);
  EXPECT_EQ(FromDouble<TypeParam>(-kInfinite).bits, this->kInfinity | 0x8000);
  EXPECT_EQ(ToDouble(this->Of(this->kInfinity)), kInfinite);
  EXPECT_EQ(FromDouble<TypeParam>(1e300).bits, this->kInfinity);
  EXPECT_EQ(FromDouble<TypeParam>(-5e-324).bits, 0x8000);
  EXPECT_EQ(FromDouble<TypeParam>(5e-324).bits, 0);
}

TYPED_TEST(NarrowFloatTest, KeepsThePayloadOfANanThatIsReadAndWritesOneKind) {
  for (uint32_t bits = this->kInfinity + 1; bits < 0x8000; ++bits) {
    for (const uint32_t sign : {0u, 0x8000u}) {
      const double nan = ToDouble(this->Of(bits | sign));
      ASSERT_TRUE(std::isnan(nan));
      ASSERT_EQ(std::signbit(nan), sign != 0);
      const auto wide = std::bit_cast<uint64_t>(nan);
      const uint64_t quiet = uint64_t{1} << 51;
      ASSERT_EQ((wide >> (52 - this->kBits)) & ((1u << this->kBits) - 1),
                (bits & ((1u << this->kBits) - 1)) | (1u << (this->kBits - 1)));
      ASSERT_NE(wide & quiet, 0u);
      ASSERT_EQ(FromDouble<TypeParam>(nan).bits,
                this->kInfinity | 1u << (this->kBits - 1));
    }
  }
}

}  // namespace
}  // namespace lossd::compute
