#include "server/rpc/admission.h"

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace lossd::rpc {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
// 15/16 of it are for large calls.
constexpr int64_t kBudget = 64 * kMiB;

// A waiter that notes when there was room.
struct TestWaiter {
  explicit TestWaiter(int64_t bytes) {
    waiter.bytes = bytes;
    waiter.on_room = [this] { has_room = true; };
  }
  Admission::Waiter waiter;
  bool has_room = false;
};

TEST(AdmissionTest, HasRoomForAnythingWithoutABudget) {
  Admission admission(0);
  EXPECT_TRUE(admission.TryEnter(int64_t{1} << 50));
  EXPECT_TRUE(admission.TryEnter(int64_t{1} << 50));
  EXPECT_TRUE(admission.Resize(1, int64_t{1} << 50));
}

TEST(AdmissionTest, LetsLargeCallsInUpToTheirShareAndNotAByteMore) {
  Admission admission(kBudget);
  EXPECT_EQ(admission.largest_call_bytes(), 60 * kMiB);
  EXPECT_FALSE(admission.TryEnter(60 * kMiB + 1));
  EXPECT_TRUE(admission.TryEnter(60 * kMiB));
  EXPECT_FALSE(admission.TryEnter(Admission::kSmallBytes + 1));
  EXPECT_EQ(admission.reserved_bytes(), 60 * kMiB);
}

TEST(AdmissionTest, KeepsAShareForSmallCalls) {
  Admission admission(kBudget);
  ASSERT_TRUE(admission.TryEnter(60 * kMiB));
  EXPECT_TRUE(admission.TryEnter(2 * kMiB));
  EXPECT_TRUE(admission.TryEnter(2 * kMiB));
  EXPECT_FALSE(admission.TryEnter(1));
}

TEST(AdmissionTest, GivesRoomInTheOrderOfWaiting) {
  Admission admission(kBudget);
  ASSERT_TRUE(admission.TryEnter(50 * kMiB));
  TestWaiter first(30 * kMiB);
  TestWaiter second(20 * kMiB);
  ASSERT_TRUE(admission.Wait(first.waiter));
  ASSERT_TRUE(admission.Wait(second.waiter));
  EXPECT_EQ(admission.waiting(), 2);
  // Room for another, but somebody was there before it.
  EXPECT_FALSE(admission.TryEnter(10 * kMiB));
  admission.Leave(20 * kMiB);
  EXPECT_TRUE(first.has_room);
  EXPECT_FALSE(second.has_room);
  admission.Leave(20 * kMiB);
  EXPECT_TRUE(second.has_room);
  EXPECT_EQ(admission.waiting(), 0);
  EXPECT_EQ(admission.reserved_bytes(), 60 * kMiB);
}

TEST(AdmissionTest, LetsSmallCallsPassLargeOnesThatWait) {
  Admission admission(kBudget);
  ASSERT_TRUE(admission.TryEnter(50 * kMiB));
  TestWaiter large(30 * kMiB);
  ASSERT_TRUE(admission.Wait(large.waiter));
  EXPECT_TRUE(admission.TryEnter(2 * kMiB));
  ASSERT_TRUE(admission.TryEnter(2 * kMiB));
  ASSERT_TRUE(admission.Resize(2 * kMiB, 12 * kMiB));
  TestWaiter small(1 * kMiB);
  ASSERT_TRUE(admission.Wait(small.waiter));
  EXPECT_FALSE(small.has_room);
  admission.Leave(1 * kMiB);
  EXPECT_TRUE(small.has_room);
  EXPECT_FALSE(large.has_room);
}

TEST(AdmissionTest, FindsRoomThatCameBeforeTheWait) {
  Admission admission(kBudget);
  TestWaiter waiter(30 * kMiB);
  ASSERT_TRUE(admission.Wait(waiter.waiter));
  EXPECT_TRUE(waiter.has_room);
  EXPECT_FALSE(admission.GiveUp(waiter.waiter));
  EXPECT_EQ(admission.reserved_bytes(), 30 * kMiB);
}

TEST(AdmissionTest, LetsOthersBehindOneThatGivesUp) {
  Admission admission(kBudget);
  ASSERT_TRUE(admission.TryEnter(50 * kMiB));
  TestWaiter large(30 * kMiB);
  TestWaiter behind(5 * kMiB);
  ASSERT_TRUE(admission.Wait(large.waiter));
  ASSERT_TRUE(admission.Wait(behind.waiter));
  EXPECT_FALSE(behind.has_room);
  EXPECT_TRUE(admission.GiveUp(large.waiter));
  EXPECT_TRUE(behind.has_room);
  EXPECT_FALSE(large.has_room);
  EXPECT_FALSE(admission.GiveUp(behind.waiter));
  EXPECT_EQ(admission.reserved_bytes(), 55 * kMiB);
}

TEST(AdmissionTest, LetsACallGrowOnlyWhereThereIsRoom) {
  Admission admission(kBudget);
  ASSERT_TRUE(admission.TryEnter(30 * kMiB));
  ASSERT_TRUE(admission.TryEnter(20 * kMiB));
  EXPECT_FALSE(admission.Resize(30 * kMiB, 44 * kMiB + 1));
  EXPECT_EQ(admission.reserved_bytes(), 50 * kMiB);
  EXPECT_TRUE(admission.Resize(30 * kMiB, 44 * kMiB));
  EXPECT_EQ(admission.reserved_bytes(), kBudget);
  EXPECT_TRUE(admission.Resize(44 * kMiB, 1));
  EXPECT_EQ(admission.reserved_bytes(), 20 * kMiB + 1);
}

TEST(AdmissionTest, LetsAThousandWaitAndNoMore) {
  Admission admission(kBudget);
  ASSERT_TRUE(admission.TryEnter(60 * kMiB));
  std::vector<Admission::Waiter> waiters(Admission::kMaxWaiting + 1);
  for (Admission::Waiter& waiter : waiters) waiter.bytes = 30 * kMiB;
  for (int64_t i = 0; i < Admission::kMaxWaiting; ++i) {
    ASSERT_TRUE(admission.Wait(waiters[i])) << i;
  }
  EXPECT_FALSE(admission.Wait(waiters.back()));
  // It has no room: what was never reserved is not to be given up later.
  EXPECT_TRUE(admission.GiveUp(waiters.back()));
  EXPECT_EQ(admission.reserved_bytes(), 60 * kMiB);
}

TEST(AdmissionTest, NeverReservesMoreThanItsBudgetInManyThreads) {
  Admission admission(kBudget);
  std::atomic<int64_t> held = 0;
  std::atomic<int64_t> most = 0;
  std::atomic<int> waited = 0;
  const auto work = [&](int seed) {
    for (int i = 0; i < 2000; ++i) {
      const int64_t bytes = (1 + (i * 7 + seed * 13) % 25) * kMiB;
      if (!admission.TryEnter(bytes)) {
        const auto has_room = std::make_shared<std::promise<void>>();
        Admission::Waiter waiter;
        waiter.bytes = bytes;
        waiter.on_room = [has_room] { has_room->set_value(); };
        ASSERT_TRUE(admission.Wait(waiter));
        ++waited;
        has_room->get_future().wait();
      }
      const int64_t now = held += bytes;
      int64_t before = most;
      while (now > before && !most.compare_exchange_weak(before, now)) {
      }
      held -= bytes;
      admission.Leave(bytes);
    }
  };
  std::vector<std::thread> threads;
  for (int seed = 0; seed < 4; ++seed) threads.emplace_back(work, seed);
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(most, kBudget);
  EXPECT_EQ(admission.reserved_bytes(), 0);
  EXPECT_EQ(admission.waiting(), 0);
}

TEST(CallerNeedsTest, KnowsTheLargestAndForgetsItSlowly) {
  CallerNeeds needs;
  EXPECT_EQ(needs.NeedOf("a"), 0);
  needs.Learn("a", 800);
  needs.Learn("b", 5);
  EXPECT_EQ(needs.NeedOf("a"), 800);
  EXPECT_EQ(needs.NeedOf("b"), 5);
  needs.Learn("a", 100);
  EXPECT_EQ(needs.NeedOf("a"), 700);
  needs.Learn("a", 900);
  EXPECT_EQ(needs.NeedOf("a"), 900);
  for (int i = 0; i < 100; ++i) needs.Learn("a", 100);
  EXPECT_EQ(needs.NeedOf("a"), 100);
}

TEST(CallerNeedsTest, ForgetsAllWhenThereAreTooMany) {
  CallerNeeds needs;
  for (size_t i = 0; i < CallerNeeds::kMaxCallers; ++i) {
    needs.Learn(std::to_string(i), 7);
  }
  EXPECT_EQ(needs.NeedOf("0"), 7);
  needs.Learn("one more", 8);
  EXPECT_EQ(needs.NeedOf("0"), 0);
  EXPECT_EQ(needs.NeedOf("one more"), 8);
}

}  // namespace
}  // namespace lossd::rpc
