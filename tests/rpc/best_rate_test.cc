#include "server/rpc/best_rate.h"

#include <chrono>
#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace lossd::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr int64_t kMiB = int64_t{1} << 20;

TEST(BestRateTest, KnowsNothingAtFirst) {
  EXPECT_EQ(BestRate().LeastTime(1000 * kMiB), nanoseconds(0));
}

TEST(BestRateTest, TellsTheTimeAtTheBestRate) {
  BestRate rate;
  rate.Observe(4 * kMiB, milliseconds(4));
  rate.Observe(4 * kMiB, milliseconds(2));
  rate.Observe(4 * kMiB, milliseconds(8));
  // Nearly: the third one counts a little.
  EXPECT_GE(rate.LeastTime(200 * kMiB), milliseconds(100));
  EXPECT_LE(rate.LeastTime(200 * kMiB), milliseconds(101));
}

TEST(BestRateTest, TakesNoNoticeOfSmallMessages) {
  BestRate rate;
  rate.Observe(BestRate::kLeastBytes - 1, milliseconds(1));
  EXPECT_EQ(rate.LeastTime(kMiB), nanoseconds(0));
  rate.Observe(BestRate::kLeastBytes, milliseconds(1));
  EXPECT_EQ(rate.LeastTime(BestRate::kLeastBytes - 1), nanoseconds(0));
  EXPECT_EQ(rate.LeastTime(BestRate::kLeastBytes), milliseconds(1));
}

TEST(BestRateTest, ForgetsABestThatDoesNotComeAgain) {
  BestRate rate;
  rate.Observe(100 * kMiB, milliseconds(1));
  for (int i = 0; i < 2000; ++i) rate.Observe(kMiB, milliseconds(1));
  EXPECT_EQ(rate.LeastTime(10 * kMiB), milliseconds(10));
}

TEST(BestRateTest, StaysInRangeForWhatNeverEnds) {
  BestRate rate;
  rate.Observe(BestRate::kLeastBytes, std::chrono::hours(10));
  EXPECT_GT(rate.LeastTime(std::numeric_limits<int64_t>::max()),
            std::chrono::hours(24 * 365));
}

}  // namespace
}  // namespace lossd::rpc
