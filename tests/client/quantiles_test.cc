#include "client/lossctl/quantiles.h"

#include <vector>

#include "gtest/gtest.h"

namespace lossd::lossctl {
namespace {

std::vector<double> OneTo(int count) {
  std::vector<double> values;
  for (int i = 1; i <= count; ++i) values.push_back(i);
  return values;
}

TEST(QuantileTest, IsTheOnlyValueOfOne) {
  for (const double q : {0.0, 0.5, 1.0}) EXPECT_EQ(Quantile({7.0}, q), 7.0);
}

TEST(QuantileTest, IsTheLeastThatTheShareIsNotAbove) {
  EXPECT_EQ(Quantile(OneTo(100), 0.5), 50);
  EXPECT_EQ(Quantile(OneTo(100), 0.501), 51);
  EXPECT_EQ(Quantile(OneTo(100), 0.9), 90);
  EXPECT_EQ(Quantile(OneTo(100), 0.99), 99);
  EXPECT_EQ(Quantile(OneTo(100), 0.999), 100);
  EXPECT_EQ(Quantile(OneTo(1000), 0.999), 999);
  EXPECT_EQ(Quantile(OneTo(1001), 0.999), 1000);
  EXPECT_EQ(Quantile(OneTo(2), 0.5), 1);
  EXPECT_EQ(Quantile(OneTo(3), 0.5), 2);
}

TEST(QuantileTest, GoesFromTheLeastToTheLargest) {
  EXPECT_EQ(Quantile(OneTo(10), 0.0), 1);
  EXPECT_EQ(Quantile(OneTo(10), 1.0), 10);
}

// In floating point 0.07 * 100 is more than 7.
TEST(QuantileTest, IsNotOneRankUpByRounding) {
  for (int percent = 1; percent <= 100; ++percent) {
    EXPECT_EQ(Quantile(OneTo(100), percent / 100.0), percent);
  }
}

}  // namespace
}  // namespace lossd::lossctl
