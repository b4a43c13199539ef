#include "client/lossctl/load.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lossd::lossctl {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr double kNever = 600.0;

void Ignore(const LoadProgress&) {}

TEST(LoadTest, EndsWhenThroughputHasSettled) {
  // Windows of so few microseconds that some three in a row agree.
  const LoadReport report = RunLoad(
      {.warm_up_s = 0.0, .window_s = 1e-6, .max_s = kNever},
      [](int) { return absl::OkStatus(); }, Ignore);
  EXPECT_TRUE(report.settled);
  EXPECT_LE(report.spread, 0.05);
  EXPECT_LT(report.run_s, kNever);
  EXPECT_THAT(report.errors, IsEmpty());
  EXPECT_GE(report.latencies_ms.size(), 60);
  EXPECT_TRUE(
      std::is_sorted(report.latencies_ms.begin(), report.latencies_ms.end()));
  EXPECT_DOUBLE_EQ(
      report.calls_per_s,
      static_cast<double>(report.latencies_ms.size()) / report.seconds);
}

TEST(LoadTest, EndsUnsettledWhenItsTimeIsOver) {
  const LoadReport report = RunLoad(
      {.warm_up_s = 0.0, .window_s = kNever, .max_s = 0.05},
      [](int) { return absl::OkStatus(); }, Ignore);
  EXPECT_FALSE(report.settled);
  EXPECT_GE(report.run_s, 0.05);
  // All but the one that begins the first window.
  EXPECT_THAT(report.latencies_ms, SizeIs(report.succeeded - 1));
}

TEST(LoadTest, KeepsAsManyCallsInFlightAsAsked) {
  constexpr int kCalls = 5;
  std::atomic<int> inside{0};
  std::atomic<bool> all_were_inside{false};
  std::atomic<bool> numbers_fit{true};
  const LoadReport report = RunLoad(
      {.calls_in_flight = kCalls,
       .warm_up_s = 0.0,
       .window_s = 1e-6,
       .max_s = kNever},
      [&](int thread) {
        if (thread < 0 || thread >= kCalls) numbers_fit = false;
        const int now_inside = ++inside;
        if (now_inside > kCalls) numbers_fit = false;
        if (now_inside == kCalls) all_were_inside = true;
        while (!all_were_inside) std::this_thread::yield();
        --inside;
        return absl::OkStatus();
      },
      Ignore);
  EXPECT_TRUE(numbers_fit);
  EXPECT_GT(report.succeeded, 0);
}

TEST(LoadTest, CountsErrorsByCode) {
  std::atomic<int> calls{0};
  const LoadReport report = RunLoad(
      {.warm_up_s = 0.0, .window_s = 1e-6, .max_s = kNever},
      [&](int) -> absl::Status {
        switch (calls++) {
          case 0:
            return absl::UnavailableError("first");
          case 1:
            return absl::UnavailableError("second");
          case 2:
            return absl::InternalError("third");
        }
        return absl::OkStatus();
      },
      Ignore);
  ASSERT_THAT(report.errors, SizeIs(2));
  const ErrorCount& unavailable =
      report.errors.at(absl::StatusCode::kUnavailable);
  EXPECT_EQ(unavailable.calls, 2);
  EXPECT_EQ(unavailable.first_message, "first");
  EXPECT_EQ(report.errors.at(absl::StatusCode::kInternal).calls, 1);
  EXPECT_GT(report.succeeded, 0);
}

TEST(LoadTest, EndsUnsettledWhenEveryCallFails) {
  const LoadReport report = RunLoad(
      {.warm_up_s = 0.0, .window_s = 1e-6, .max_s = kNever},
      [](int) { return absl::InternalError("no"); }, Ignore);
  EXPECT_FALSE(report.settled);
  EXPECT_EQ(report.succeeded, 0);
  EXPECT_THAT(report.latencies_ms, IsEmpty());
  EXPECT_GE(report.errors.at(absl::StatusCode::kInternal).calls, 60);
  EXPECT_LT(report.run_s, kNever);
}

// One thread, calls of 20 us or more, one intended per us: each waits for all
// before it.
TEST(LoadTest, CountsLatencyFromTheIntendedStart) {
  using Clock = std::chrono::steady_clock;
  const LoadReport report = RunLoad(
      {.rate = 1e6, .warm_up_s = 0.0, .window_s = kNever, .max_s = 0.1},
      [](int) {
        const Clock::time_point begin = Clock::now();
        while (Clock::now() - begin < std::chrono::microseconds(20)) {
        }
        return absl::OkStatus();
      },
      Ignore);
  ASSERT_GT(report.succeeded, 1);
  EXPECT_GE(report.latencies_ms.back(), 0.0189 * (report.succeeded - 1));
}

TEST(LoadTest, StartsNoCallBeforeItsTime) {
  const LoadReport report = RunLoad(
      {.calls_in_flight = 3, .rate = 0.001, .warm_up_s = 0.0, .max_s = 0.05},
      [](int) { return absl::OkStatus(); }, Ignore);
  EXPECT_EQ(report.succeeded, 1);
}

TEST(LoadTest, ReportsItsProgress) {
  int64_t calls = 0;
  const LoadReport report = RunLoad(
      {.warm_up_s = 0.01, .window_s = kNever, .max_s = 0.05},
      [](int) { return absl::OkStatus(); },
      [&](const LoadProgress& progress) {
        EXPECT_GE(progress.calls, calls);
        calls = progress.calls;
        EXPECT_EQ(progress.errors, 0);
      });
  EXPECT_GT(calls, 0);
  EXPECT_GE(report.succeeded, calls);
}

}  // namespace
}  // namespace lossd::lossctl
