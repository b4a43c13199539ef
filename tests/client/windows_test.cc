#include "client/lossctl/windows.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lossd::lossctl {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

// Windows of a second, begun by a call at 0.
Windows Begun(double length_s = 1.0) {
  Windows windows(0.0, length_s);
  windows.Add(0.0, 1.0, true);
  return windows;
}

// Adds `calls` that end evenly over the second after `begin_s`, the last at its
// end.
void AddSecond(Windows& windows, double begin_s, int calls,
               bool succeeded = true) {
  for (int i = 1; i <= calls; ++i) {
    windows.Add(i == calls ? begin_s + 1.0 : begin_s + 1.0 * i / calls, 1.0,
                succeeded);
  }
}

TEST(SpreadTest, IsTheDifferenceOverTheLargest) {
  EXPECT_DOUBLE_EQ(SpreadOf({95.0, 100.0, 97.0}), 0.05);
  EXPECT_EQ(SpreadOf({100.0}), 0.0);
  EXPECT_EQ(SpreadOf({0.0, 1.0}), 1.0);
  EXPECT_EQ(SpreadOf({0.0, 0.0}), 0.0);
}

TEST(WindowsTest, LeaveTheWarmUpOut) {
  Windows windows(2.0, 1.0);
  windows.Add(0.5, 9.0, true);
  windows.Add(1.999, 9.0, true);
  windows.Add(2.0, 9.0, true);  // begins the first window
  EXPECT_THAT(windows.Latest().latencies_ms, SizeIs(0));
  windows.Add(2.5, 1.0, true);
  EXPECT_THAT(windows.Latest().latencies_ms, ElementsAre(1.0));
  EXPECT_EQ(windows.Latest().seconds, 0.5);
}

TEST(WindowsTest, CloseWithTheFirstCallAtTheirLength) {
  Windows windows = Begun();
  for (int i = 0; i < 30; ++i) windows.Add(0.999, 1.0, true);
  EXPECT_EQ(windows.closed(), 0);
  windows.Add(1.25, 1.0, true);
  EXPECT_EQ(windows.closed(), 1);
  EXPECT_EQ(windows.Latest().CallsPerSecond(), 31 / 1.25);
}

TEST(WindowsTest, CloseWithNoFewerThanTheLeastCalls) {
  Windows windows = Begun();
  for (int i = 1; i < kLeastWindowCalls; ++i) windows.Add(i, 1.0, true);
  EXPECT_EQ(windows.closed(), 0);
  windows.Add(kLeastWindowCalls, 1.0, true);
  EXPECT_EQ(windows.closed(), 1);
  EXPECT_EQ(windows.Latest().CallsPerSecond(), 1.0);
}

TEST(WindowsTest, SettleWhenThreeInARowAgree) {
  Windows windows = Begun();
  AddSecond(windows, 0.0, 100);
  AddSecond(windows, 1.0, 100);
  EXPECT_FALSE(windows.Settled());
  AddSecond(windows, 2.0, 95);  // at the bound
  EXPECT_TRUE(windows.Settled());
  EXPECT_DOUBLE_EQ(windows.Spread(), 0.05);
  EXPECT_THAT(windows.Latest().latencies_ms, SizeIs(295));
  EXPECT_DOUBLE_EQ(windows.Latest().seconds, 3.0);
}

TEST(WindowsTest, DoNotSettleOnePastTheBound) {
  Windows windows = Begun();
  AddSecond(windows, 0.0, 100);
  AddSecond(windows, 1.0, 94);
  AddSecond(windows, 2.0, 100);
  EXPECT_FALSE(windows.Settled());
  EXPECT_DOUBLE_EQ(windows.Spread(), 0.06);
}

TEST(WindowsTest, ForgetAllButTheLastThree) {
  Windows windows = Begun();
  AddSecond(windows, 0.0, 1000);
  for (int i = 1; i <= 3; ++i) {
    EXPECT_FALSE(windows.Settled());
    AddSecond(windows, i, 100);
  }
  EXPECT_TRUE(windows.Settled());
  EXPECT_EQ(windows.closed(), 4);
  EXPECT_THAT(windows.Latest().latencies_ms, SizeIs(300));
}

TEST(WindowsTest, CountFailedCallsButNotInTheRate) {
  Windows windows = Begun();
  AddSecond(windows, 0.0, 100, /*succeeded=*/false);
  EXPECT_EQ(windows.closed(), 1);
  EXPECT_EQ(windows.Latest().CallsPerSecond(), 0.0);
  AddSecond(windows, 1.0, 100, false);
  AddSecond(windows, 2.0, 100, false);
  EXPECT_TRUE(windows.Settled());
}

TEST(WindowsTest, HoldWhatTheOpenOneHasUntilItCloses) {
  Windows windows = Begun();
  AddSecond(windows, 0.0, 100);
  windows.Add(1.5, 1.0, true);
  EXPECT_FALSE(windows.Settled());
  EXPECT_THAT(windows.Latest().latencies_ms, SizeIs(101));
  EXPECT_EQ(windows.Latest().seconds, 1.5);
}

TEST(WindowsTest, TakeCallsThatTwoThreadsReportOutOfOrder) {
  Windows windows = Begun();
  windows.Add(0.5, 1.0, true);
  windows.Add(0.25, 2.0, true);
  EXPECT_EQ(windows.Latest().seconds, 0.5);
  EXPECT_THAT(windows.Latest().latencies_ms, ElementsAre(1.0, 2.0));
}

TEST(WindowTest, HasNoRateWithoutTime) {
  EXPECT_EQ(Window().CallsPerSecond(), 0.0);
}

}  // namespace
}  // namespace lossd::lossctl
