#ifndef LOSSD_SERVER_COMPUTE_THREAD_POOL_H_
#define LOSSD_SERVER_COMPUTE_THREAD_POOL_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"

namespace lossd::compute {

// A fixed set of threads that run tasks in the order of their arrival and help
// each other with loops. A waiting task goes before help with a loop, so that a
// short task never waits for a long loop while there is a second thread.
// docs/adr/0002-thread-pool.md says why not oneTBB.
//
// Threads: all members may be called from any thread, tasks and loop bodies
// included.
class ThreadPool {
 public:
  // What a thread does that has helped with a loop. To wake it takes longer
  // than a small batch, so looking out makes the next loop faster, but where
  // the core has other work, such as the sockets of a server, it takes time
  // from that.
  enum class AfterHelp { kSleep, kLookOutFirst };

  // REQUIRES: threads >= 1.
  explicit ThreadPool(int threads,
                      AfterHelp after_help = AfterHelp::kLookOutFirst);

  // Runs every task already submitted, then joins the threads.
  ~ThreadPool();

  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()); }

  // Runs `task` on one of the threads, some time soon.
  void Submit(std::function<void()> task);

  // Calls body(0) ... body(blocks - 1), each once, in no order, and returns
  // when all have returned. The caller takes part, joined by at most threads()
  // - 1 idle threads, so a loop never uses more than threads() at once. These
  // trim their RowScratch then.
  void ForEachBlock(int64_t blocks, absl::FunctionRef<void(int64_t)> body);

 private:
  // A ForEachBlock in progress; lives on its caller's stack. All but `next` is
  // guarded by mutex_.
  struct Loop {
    Loop(int64_t blocks_in, absl::FunctionRef<void(int64_t)> body_in)
        : blocks(blocks_in), body(body_in) {}
    bool has_blocks() const { return next.load() < blocks; }

    const int64_t blocks;
    const absl::FunctionRef<void(int64_t)> body;
    std::atomic<int64_t> next{0};
    std::atomic<int> helpers{0};  // to look at without the lock
    std::condition_variable helpers_left;
  };

  void RunWorker();
  void Wait(bool looks_out, std::unique_lock<std::mutex>& lock);
  void HelpWith(Loop& loop, std::unique_lock<std::mutex>& lock);
  Loop* LoopThatWantsHelp();

  const AfterHelp after_help_;
  std::mutex mutex_;
  std::condition_variable work_arrived_;
  std::deque<std::function<void()>> tasks_;  // guarded by mutex_
  std::vector<Loop*> loops_;                 // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_
  std::atomic<int64_t> waiting_tasks_{0};    // tasks_.size(), to peek at
  std::atomic<int64_t> arrivals_{0};         // of tasks and loops, to look at
  int lookouts_ = 0;    // threads that look at it; guarded by mutex_
  int called_out_ = 0;  // of these, expected to help; guarded by mutex_
  std::vector<std::thread> workers_;
};

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_THREAD_POOL_H_
