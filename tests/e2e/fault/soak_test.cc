// Calls of several sizes at once, for as long as one likes.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <string>

#include "absl/time/clock.h"
#include "tests/e2e/fault/duration.h"
#include "tests/e2e/fault/load.h"
#include "tests/e2e/lossd_process.h"

namespace lossd {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

TEST(SoakTest, OfMixedSizesLeavesMemoryFlatAndEveryLossRight) {
  LossdProcess lossd(
      {"--listen", "127.0.0.1:0", "--memory-budget-bytes", "268435456"});
  const std::string target = lossd.WaitForAddress();
  const KnownBatch small(32, 27);
  const KnownBatch medium(128, 1000);
  const KnownBatch large(64, 32000);
  Load smalls(small, {.target = target, .callers = 2, .max_attempts = 10});
  Load mediums(medium, {.target = target, .callers = 1, .max_attempts = 10});
  Load larges(large, {.target = target, .callers = 1, .max_attempts = 10});
  absl::SleepFor(FaultDuration() / 2);
  const int64_t half_way = lossd.PeakResidentBytes();
  absl::SleepFor(FaultDuration() / 2);
  const int64_t at_end = lossd.PeakResidentBytes();
  int64_t calls = 0;
  for (Load* load : {&smalls, &mediums, &larges}) {
    load->Stop();
    calls += load->succeeded();
    EXPECT_GT(load->succeeded(), 0);
    EXPECT_EQ(load->failed(), 0);
    EXPECT_EQ(load->wrong(), 0);
  }
  std::printf(
      "soak: %ld calls, each loss compared; peak %ld MiB half way, %ld "
      "at the end\n",
      static_cast<long>(calls), static_cast<long>(half_way / kMiB),
      static_cast<long>(at_end / kMiB));
  EXPECT_LE(at_end, half_way + kMaxBeyondBudget / 4);
  lossd.Signal(SIGTERM);
  EXPECT_EQ(lossd.WaitForExit(), 0);
}

}  // namespace
}  // namespace lossd
