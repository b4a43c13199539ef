// More callers than there is memory for.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/e2e/fault/duration.h"
#include "tests/e2e/fault/load.h"
#include "tests/e2e/lossd_process.h"

namespace lossd {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kLeastCalls = 10;
constexpr int kCallers = 4;  // as many as keep it busy

// Calls per second of so many callers.
double Goodput(const KnownBatch& batch, const std::string& target, int callers,
               Load::Options options) {
  options.target = target;
  options.callers = callers;
  Load load(batch, options);
  const absl::Time begin = absl::Now();
  absl::SleepFor(FaultDuration());
  // However slow the machine is.
  while (load.succeeded() < kLeastCalls) absl::SleepFor(absl::Milliseconds(1));
  const int64_t calls = load.succeeded();
  const double seconds = absl::ToDoubleSeconds(absl::Now() - begin);
  load.Stop();
  EXPECT_EQ(load.wrong(), 0);
  for (const auto& [code, message] : load.messages()) {
    EXPECT_EQ(code, absl::StatusCode::kUnavailable) << message;
  }
  std::printf("%d callers: %.0f calls a second, %ld refused\n", callers,
              static_cast<double>(calls) / seconds,
              static_cast<long>(load.failed()));
  return static_cast<double>(calls) / seconds;
}

class OverloadTest : public ::testing::TestWithParam<int64_t> {};

TEST_P(OverloadTest, TenfoldLeavesMemoryAndGoodputAsTheyWere) {
  const int64_t budget = GetParam() * kMiB;
  LossdProcess lossd({"--listen", "127.0.0.1:0", "--memory-budget-bytes",
                      absl::StrCat(budget)});
  const std::string target = lossd.WaitForAddress();
  // 3.8 MiB each way: 8 or 32 calls at once, of forty.
  const KnownBatch batch(100, 10000);
  const double before = Goodput(batch, target, kCallers, {});
  const double overloaded = Goodput(batch, target, 10 * kCallers, {});
  const double peak = static_cast<double>(lossd.PeakResidentBytes()) / kMiB;
  std::printf(
      "overload x10: %.2f of the goodput, peak %.0f MiB of a budget of "
      "%ld MiB\n",
      overloaded / before, peak, static_cast<long>(GetParam()));
  EXPECT_LE(lossd.PeakResidentBytes(), budget + kMaxBeyondBudget);
  lossd.Signal(SIGTERM);
  EXPECT_EQ(lossd.WaitForExit(), 0);
}

// In MiB. At the larger one gRPC once crashed as messages were freed that its
// quota counts.
INSTANTIATE_TEST_SUITE_P(Budgets, OverloadTest, ::testing::Values(64, 256));

}  // namespace
}  // namespace lossd
