#include "server/compute/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lossd::compute {
namespace {

using ::testing::Each;

// A flag that threads wait for; the wait is bounded, so that a broken pool
// fails a test instead of hanging it.
class Event {
 public:
  void Set() {
    std::lock_guard<std::mutex> lock(mutex_);
    set_ = true;
    changed_.notify_all();
  }

  bool Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30),
                             [&] { return set_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

// Counts those inside at once, and lets them wait for each other.
class Gathering {
 public:
  void Enter() {
    std::lock_guard<std::mutex> lock(mutex_);
    most_ = std::max(most_, ++inside_);
    changed_.notify_all();
  }

  void Leave() {
    std::lock_guard<std::mutex> lock(mutex_);
    --inside_;
  }

  bool WaitUntilMostIs(int count) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30),
                             [&] { return most_ >= count; });
  }

  int most() {
    std::lock_guard<std::mutex> lock(mutex_);
    return most_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int inside_ = 0;
  int most_ = 0;
};

// In each test the pool is declared last: it dies first, while what its tasks
// refer to is still there.
class ThreadPoolTest : public ::testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest,
                         ::testing::Values(1, 2, 3, 8));

TEST_P(ThreadPoolTest, HasTheThreadsAskedFor) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.threads(), GetParam());
}

// The counts are no atomics: a loop that returns early, or runs a block twice
// at once, also shows under the thread sanitizer.
TEST_P(ThreadPoolTest, RunsEachBlockOnceBeforeTheLoopReturns) {
  ThreadPool pool(GetParam());
  for (int64_t blocks : {0, 1, 2, 3, 7, 64, 1000}) {
    std::vector<int> runs(blocks);
    pool.ForEachBlock(blocks, [&](int64_t block) { ++runs[block]; });
    EXPECT_THAT(runs, Each(1)) << blocks << " blocks";
  }
}

TEST_P(ThreadPoolTest, RunsALoopOnAllThreadsAndNoMore) {
  Gathering gathering;
  std::atomic<bool> all_came{true};
  ThreadPool pool(GetParam());
  pool.ForEachBlock(100 * GetParam(), [&](int64_t) {
    gathering.Enter();
    if (!gathering.WaitUntilMostIs(GetParam())) all_came = false;
    std::this_thread::yield();
    gathering.Leave();
  });
  EXPECT_TRUE(all_came);
  EXPECT_EQ(gathering.most(), GetParam());
}

TEST_P(ThreadPoolTest, LetsTheCallerFinishALoopAloneWhenAllThreadsAreBusy) {
  Event go;
  Gathering busy;
  ThreadPool pool(GetParam());
  for (int i = 0; i < GetParam(); ++i) {
    pool.Submit([&] {
      busy.Enter();
      go.Wait();
    });
  }
  ASSERT_TRUE(busy.WaitUntilMostIs(GetParam()));
  std::vector<std::thread::id> ran_on(50);
  pool.ForEachBlock(
      50, [&](int64_t block) { ran_on[block] = std::this_thread::get_id(); });
  EXPECT_THAT(ran_on, Each(std::this_thread::get_id()));
  go.Set();
}

TEST_P(ThreadPoolTest, RunsLoopsInsideLoops) {
  constexpr int64_t kOuter = 20;
  constexpr int64_t kInner = 30;
  ThreadPool pool(GetParam());
  std::vector<int> runs(kOuter * kInner);
  pool.ForEachBlock(kOuter, [&](int64_t outer) {
    pool.ForEachBlock(kInner,
                      [&](int64_t inner) { ++runs[outer * kInner + inner]; });
  });
  EXPECT_THAT(runs, Each(1));
}

TEST_P(ThreadPoolTest, RunsLoopsInsideTasks) {
  ThreadPool pool(GetParam());
  std::vector<int> runs(100);
  Event done;
  pool.Submit([&] {
    pool.ForEachBlock(100, [&](int64_t block) { ++runs[block]; });
    done.Set();
  });
  ASSERT_TRUE(done.Wait());
  EXPECT_THAT(runs, Each(1));
}

TEST_P(ThreadPoolTest, RunsTasksSubmittedByLoopsAndByTasks) {
  std::atomic<int> left{3 * 40};
  Event done;
  const auto count_down = [&] {
    if (--left == 0) done.Set();
  };
  ThreadPool pool(GetParam());
  pool.ForEachBlock(40, [&](int64_t) {
    pool.Submit([&] {
      pool.Submit(count_down);
      count_down();
    });
    count_down();
  });
  EXPECT_TRUE(done.Wait());
}

TEST_P(ThreadPoolTest, RunsManyConcurrentLoopsOfManyCallers) {
  constexpr int kCallers = 6;
  constexpr int kLoops = 200;
  ThreadPool pool(GetParam());
  std::vector<int> wrong_loops(kCallers);
  std::vector<std::thread> callers;
  for (int caller = 0; caller < kCallers; ++caller) {
    callers.emplace_back([&, caller] {
      for (int loop = 0; loop < kLoops; ++loop) {
        std::vector<int> runs((caller + loop) % 17);
        const auto size = static_cast<int64_t>(runs.size());
        pool.ForEachBlock(size, [&](int64_t block) { ++runs[block]; });
        wrong_loops[caller] += std::count(runs.begin(), runs.end(), 1) != size;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_THAT(wrong_loops, Each(0));
}

TEST_P(ThreadPoolTest, RunsEverySubmittedTaskBeforeItDies) {
  Event go;
  std::atomic<int> ran{0};
  {
    ThreadPool pool(GetParam());
    for (int i = 0; i < GetParam(); ++i) pool.Submit([&] { go.Wait(); });
    for (int i = 0; i < 100; ++i) {
      pool.Submit([&] {
        if (++ran == 1) pool.Submit([&] { ++ran; });  // one while it is dying
      });
    }
    EXPECT_EQ(ran, 0);
    go.Set();
  }
  EXPECT_EQ(ran, 101);
}

// With one thread there is no order to break.
TEST(ThreadPoolOrderTest, RunsTasksInTheOrderOfTheirArrival) {
  std::vector<int> order;
  {
    ThreadPool pool(1);
    for (int i = 0; i < 100; ++i) pool.Submit([&, i] { order.push_back(i); });
  }
  ASSERT_EQ(order.size(), 100);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(ThreadPoolOrderTest, FreesATaskBeforeItsThreadTakesTheNext) {
  std::atomic<bool> was_freed{false};
  Event done;
  ThreadPool pool(1);
  auto held = std::make_shared<int>(0);
  std::weak_ptr<int> watched = held;
  pool.Submit([held = std::move(held)] {});
  pool.Submit([&] {
    was_freed = watched.expired();
    done.Set();
  });
  ASSERT_TRUE(done.Wait());
  EXPECT_TRUE(was_freed);
}

// The helper of a long loop leaves it for a task: the loop's caller waits for
// the task in its block, and few blocks may have run by then.
TEST(ThreadPoolOrderTest, LetsATaskGoBeforeHelpWithALoop) {
  constexpr int64_t kBlocks = 1'000'000;
  Event release_other;
  Event other_started;
  Event helper_came;
  Event task_submitted;
  Event task_ran;
  ThreadPool pool(2);
  pool.Submit([&] {
    other_started.Set();
    release_other.Wait();
  });
  ASSERT_TRUE(other_started.Wait());

  const auto caller = std::this_thread::get_id();
  std::atomic<int64_t> blocks_run{0};
  int64_t blocks_run_before_task = kBlocks;
  bool caller_waited = false;
  pool.ForEachBlock(kBlocks, [&](int64_t) {
    if (std::this_thread::get_id() != caller) {
      helper_came.Set();
      task_submitted.Wait();
    } else if (!caller_waited) {
      caller_waited = true;
      helper_came.Wait();
      pool.Submit([&] {
        blocks_run_before_task = blocks_run;
        task_ran.Set();
      });
      task_submitted.Set();
      task_ran.Wait();
    }
    ++blocks_run;
  });
  release_other.Set();
  EXPECT_LE(blocks_run_before_task, 2);
}

}  // namespace
}  // namespace lossd::compute
