#include "server/rpc/factors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "tests/rpc/requests.h"

namespace lossd::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

absl::StatusOr<std::vector<double>> Factors(const v1::Tensor& tensor,
                                            FactorSign sign) {
  return FactorsOf(*TensorFromProto(Received(tensor), "x"), "x", sign);
}

absl::Status StatusOfOne(double value, FactorSign sign) {
  return Factors(FloatTensor(v1::DATA_TYPE_FLOAT64, {2}, {1, value}), sign)
      .status();
}

TEST(FactorsTest, AreTheValuesOfEveryFloatType) {
  for (const v1::DataType type : kFloatTypes) {
    const auto factors =
        Factors(FloatTensor(type, {4}, {0, 1, 0.375, 240}), FactorSign::kAny);
    ASSERT_TRUE(factors.ok()) << factors.status();
    EXPECT_THAT(*factors, ElementsAre(0, 1, 0.375, 240));
  }
}

TEST(FactorsTest, AreReadFromFloatValues) {
  const auto factors = Factors(
      FromText<v1::Tensor>("shape: 2 float_values { values: [ 0.5, 3 ] }"),
      FactorSign::kNotNegative);
  ASSERT_TRUE(factors.ok()) << factors.status();
  EXPECT_THAT(*factors, ElementsAre(0.5, 3));
}

TEST(FactorsTest, MayBeNone) {
  const auto factors = Factors(FloatTensor(v1::DATA_TYPE_FLOAT16, {0}, {}),
                               FactorSign::kNotNegative);
  ASSERT_TRUE(factors.ok()) << factors.status();
  EXPECT_THAT(*factors, IsEmpty());
}

TEST(FactorsTest, HoldAtTheirBoundsAndNotPastThem) {
  const double least = std::nextafter(0x1p-100, 0);
  const double most = std::nextafter(0x1p100, HUGE_VAL);
  for (const double value : {0.0, 0x1p-100, 0x1p100}) {
    EXPECT_TRUE(StatusOfOne(value, FactorSign::kNotNegative).ok()) << value;
    EXPECT_TRUE(StatusOfOne(value, FactorSign::kAny).ok()) << value;
    EXPECT_TRUE(StatusOfOne(-value, FactorSign::kAny).ok()) << value;
  }
  for (const double value :
       {least, most, HUGE_VAL, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_FALSE(StatusOfOne(value, FactorSign::kNotNegative).ok()) << value;
    EXPECT_FALSE(StatusOfOne(value, FactorSign::kAny).ok()) << value;
    EXPECT_FALSE(StatusOfOne(-value, FactorSign::kAny).ok()) << value;
  }
  EXPECT_FALSE(StatusOfOne(-0x1p-100, FactorSign::kNotNegative).ok());
}

TEST(FactorsTest, NameTheFirstOutOfRange) {
  EXPECT_THAT(Factors(FloatTensor(v1::DATA_TYPE_FLOAT32, {4}, {1, -2, -3, 1}),
                      FactorSign::kNotNegative)
                  .status(),
              IsInvalid("x[1] = -2, want 0 or [2^-100, 2^100]", "x[1]"));
  EXPECT_THAT(StatusOfOne(HUGE_VAL, FactorSign::kAny),
              IsInvalid("x[1] = inf, want 0 or +-[2^-100, 2^100]", "x[1]"));
}

// All of float16 but its infinities and NaNs is in the range.
TEST(FactorsTest, TakeFloat16sSmallestAndLargest) {
  for (const double value : {0x1p-24, 65504.0}) {
    EXPECT_TRUE(Factors(FloatTensor(v1::DATA_TYPE_FLOAT16, {1}, {value}),
                        FactorSign::kNotNegative)
                    .ok());
  }
  EXPECT_FALSE(Factors(FloatTensor(v1::DATA_TYPE_FLOAT16, {1}, {HUGE_VAL}),
                       FactorSign::kNotNegative)
                   .ok());
  EXPECT_FALSE(Factors(FloatTensor(v1::DATA_TYPE_BFLOAT16, {1}, {0x1p101}),
                       FactorSign::kNotNegative)
                   .ok());
}

}  // namespace
}  // namespace lossd::rpc
