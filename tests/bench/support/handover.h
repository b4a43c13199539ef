// What a handler passes through on its way: an admission gate and a worker.
#ifndef LOSSD_TESTS_BENCH_SUPPORT_HANDOVER_H_
#define LOSSD_TESTS_BENCH_SUPPORT_HANDOVER_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace lossd::bench {

// Runs what it is given: at once while open, otherwise when it opens.
// Threads: any.
class Gate {
 public:
  explicit Gate(bool open) : open_(open) {}

  void WhenOpen(std::function<void()> action) {
    {
      std::lock_guard lock(mutex_);
      if (!open_) {
        waiting_.push_back(std::move(action));
        return;
      }
    }
    action();
  }

  void Open() {
    std::vector<std::function<void()>> actions;
    {
      std::lock_guard lock(mutex_);
      open_ = true;
      actions.swap(waiting_);
    }
    for (auto& action : actions) action();
  }

 private:
  std::mutex mutex_;
  bool open_;                                   // guarded by mutex_
  std::vector<std::function<void()>> waiting_;  // guarded by mutex_
};

// Runs tasks on a thread of its own, or on the caller's when not `threaded`:
// the hand-over that the real server makes to its compute threads.
// Threads: any.
class Worker {
 public:
  explicit Worker(bool threaded) {
    if (threaded) thread_ = std::thread([this] { Run(); });
  }

  ~Worker() {
    if (!thread_.joinable()) return;
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    arrived_.notify_one();
    thread_.join();
  }

  void Submit(std::function<void()> task) {
    if (!thread_.joinable()) return task();
    {
      std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    arrived_.notify_one();
  }

 private:
  void Run() {
    std::unique_lock lock(mutex_);
    while (true) {
      arrived_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::function<void()>> tasks_;  // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_
  std::thread thread_;
};

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_SUPPORT_HANDOVER_H_
