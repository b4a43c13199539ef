// Servers that stop and start under load.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/e2e/fault/duration.h"
#include "tests/e2e/fault/load.h"
#include "tests/e2e/lossd_process.h"

namespace lossd {
namespace {

// Waits for `calls` more.
void WaitForCalls(const Load& load, int64_t calls) {
  const int64_t want = load.succeeded() + calls;
  while (load.succeeded() < want) absl::SleepFor(absl::Milliseconds(1));
}

std::unique_ptr<LossdProcess> StartAt(const std::string& address) {
  return std::make_unique<LossdProcess>(
      LossdProcess::Strings{"--listen", address, "--lame-duck-seconds", "1"});
}

TEST(RollingRestartTest, OfTwoReplicasFailsNoCall) {
  std::vector<std::unique_ptr<LossdProcess>> replicas;
  std::vector<std::string> addresses;
  for (int i = 0; i < 2; ++i) {
    replicas.push_back(StartAt("127.0.0.1:0"));
    addresses.push_back(replicas.back()->WaitForAddress());
  }
  const KnownBatch batch(32, 27);
  Load load(batch,
            {.target = absl::StrCat("ipv4:", addresses[0], ",", addresses[1]),
             .callers = 4,
             .max_attempts = 10});
  WaitForCalls(load, 1000);
  int restarts = 0;
  const absl::Time end = absl::Now() + FaultDuration();
  do {
    for (int i = 0; i < 2; ++i) {
      replicas[i]->Signal(SIGTERM);
      EXPECT_EQ(replicas[i]->WaitForExit(), 0);
      replicas[i] = StartAt(addresses[i]);
      EXPECT_EQ(replicas[i]->WaitForAddress(), addresses[i]);
      ++restarts;
      WaitForCalls(load, 1000);
    }
  } while (absl::Now() < end);
  while (load.succeeded() < 10'000) absl::SleepFor(absl::Milliseconds(1));
  load.Stop();
  std::printf("rolling restart: %d restarts, %ld calls, %ld failed\n", restarts,
              static_cast<long>(load.succeeded()),
              static_cast<long>(load.failed()));
  for (const auto& [code, message] : load.messages()) {
    ADD_FAILURE() << absl::StatusCodeToString(code) << ": " << message;
  }
  EXPECT_EQ(load.wrong(), 0);
}

TEST(KilledServerTest, IsFoundAgainByItsCallers) {
  auto lossd = StartAt("127.0.0.1:0");
  const std::string address = lossd->WaitForAddress();
  const KnownBatch batch(32, 27);
  Load load(batch, {.target = address, .callers = 4, .max_attempts = 20});
  int kills = 0;
  const absl::Time end = absl::Now() + FaultDuration();
  do {
    WaitForCalls(load, 200);
    lossd->Signal(SIGKILL);
    EXPECT_EQ(lossd->WaitForExit(), -SIGKILL);
    lossd = StartAt(address);
    EXPECT_EQ(lossd->WaitForAddress(), address);
    ++kills;
  } while (absl::Now() < end);
  WaitForCalls(load, 200);
  load.Stop();
  std::printf("kill -9: %d times, %ld calls, %ld failed\n", kills,
              static_cast<long>(load.succeeded()),
              static_cast<long>(load.failed()));
  EXPECT_EQ(load.failed(), 0);
  EXPECT_EQ(load.wrong(), 0);
}

}  // namespace
}  // namespace lossd
