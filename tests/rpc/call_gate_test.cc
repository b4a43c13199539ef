#include "server/rpc/call_gate.h"

#include <gtest/gtest.h>

#include <thread>

namespace lossd::rpc {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kForever = std::chrono::minutes(10);
const auto kNever = [] { return false; };

TEST(CallGateTest, CountsThoseInside) {
  CallGate gate;
  EXPECT_TRUE(gate.Enter());
  EXPECT_TRUE(gate.Enter());
  EXPECT_EQ(gate.inside(), 2);
  gate.Leave();
  EXPECT_EQ(gate.inside(), 1);
}

TEST(CallGateTest, LetsNobodyInOnceClosed) {
  CallGate gate;
  EXPECT_TRUE(gate.Enter());
  gate.Close();
  EXPECT_FALSE(gate.Enter());
  EXPECT_EQ(gate.inside(), 1);
}

TEST(CallGateTest, IsEmptyAtOnceWithNobodyInside) {
  CallGate gate;
  EXPECT_TRUE(gate.WaitUntilEmpty(Clock::now(), kNever));
}

TEST(CallGateTest, WaitsForTheLastToLeave) {
  CallGate gate;
  ASSERT_TRUE(gate.Enter());
  std::thread leaver([&] { gate.Leave(); });
  EXPECT_TRUE(gate.WaitUntilEmpty(Clock::now() + kForever, kNever));
  leaver.join();
}

TEST(CallGateTest, GivesUpAtTheDeadline) {
  CallGate gate;
  ASSERT_TRUE(gate.Enter());
  EXPECT_FALSE(gate.WaitUntilEmpty(Clock::now(), kNever));
}

TEST(CallGateTest, GivesUpWhenAskedTo) {
  CallGate gate;
  ASSERT_TRUE(gate.Enter());
  int asked = 0;
  EXPECT_FALSE(gate.WaitUntilEmpty(Clock::now() + kForever,
                                   [&] { return ++asked == 3; }));
}

}  // namespace
}  // namespace lossd::rpc
