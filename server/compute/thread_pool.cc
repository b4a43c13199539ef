#include "server/compute/thread_pool.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <utility>

#include "server/compute/exact/row_scratch.h"

namespace lossd::compute {
namespace {

// How long a thread looks out for work before it sleeps: about what waking it
// takes.
constexpr std::chrono::microseconds kLookout(50);

// Tells the core that this is a loop that waits. Not a yield: that may come
// back a scheduler's slice later, and who called this thread out counts on it.
inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits while `waits()`, but no longer than kLookout.
template <typename Waits>
void LookOut(const Waits& waits) {
  const auto end = std::chrono::steady_clock::now() + kLookout;
  while (waits() && std::chrono::steady_clock::now() < end) Pause();
}

}  // namespace

ThreadPool::ThreadPool(int threads, AfterHelp after_help)
    : after_help_(after_help) {
  assert(threads >= 1);
  workers_.reserve(threads);
  for (int i = 0; i < threads; ++i) {
    workers_.emplace_back([this] { RunWorker(); });
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    arrivals_.fetch_add(1);
  }
  work_arrived_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::Submit(std::function<void()> task) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    tasks_.push_back(std::move(task));
    waiting_tasks_.store(static_cast<int64_t>(tasks_.size()));
    arrivals_.fetch_add(1);
  }
  work_arrived_.notify_one();
}

void ThreadPool::ForEachBlock(int64_t blocks,
                              absl::FunctionRef<void(int64_t)> body) {
  const int64_t helpers_wanted = std::min<int64_t>(blocks, threads()) - 1;
  if (helpers_wanted <= 0) {
    for (int64_t block = 0; block < blocks; ++block) body(block);
    return;
  }
  Loop loop(blocks, body);
  int64_t to_wake = helpers_wanted;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    loops_.push_back(&loop);
    arrivals_.fetch_add(1);
    const auto called = static_cast<int>(
        std::min<int64_t>(helpers_wanted, lookouts_ - called_out_));
    called_out_ += called;
    to_wake -= called;
  }
  for (int64_t i = 0; i < to_wake; ++i) work_arrived_.notify_one();
  for (int64_t block; (block = loop.next.fetch_add(1)) < blocks;) body(block);
  // Who helps is mostly about to finish a block.
  LookOut([&] { return loop.helpers.load() != 0; });
  std::unique_lock<std::mutex> lock(mutex_);
  loops_.erase(std::find(loops_.begin(), loops_.end(), &loop));
  loop.helpers_left.wait(lock, [&] { return loop.helpers == 0; });
}

void ThreadPool::RunWorker() {
  std::unique_lock<std::mutex> lock(mutex_);
  bool looks_out = false;  // before it sleeps next
  while (true) {
    if (!tasks_.empty()) {
      std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      waiting_tasks_.store(static_cast<int64_t>(tasks_.size()));
      lock.unlock();
      task();
      task = nullptr;  // what it holds is freed outside the lock
      lock.lock();
    } else if (Loop* loop = LoopThatWantsHelp(); loop != nullptr) {
      HelpWith(*loop, lock);
      looks_out = after_help_ == AfterHelp::kLookOutFirst;
    } else if (stopping_) {
      return;
    } else {
      Wait(std::exchange(looks_out, false), lock);
    }
  }
}

void ThreadPool::Wait(bool looks_out, std::unique_lock<std::mutex>& lock) {
  // The last thread sleeps at once: whoever starts a loop has a core, too.
  if (!looks_out || lookouts_ >= threads() - 1) {
    work_arrived_.wait(lock);
    return;
  }
  ++lookouts_;
  const int64_t seen = arrivals_.load();
  lock.unlock();
  LookOut([&] { return arrivals_.load() == seen; });
  lock.lock();
  --lookouts_;
  called_out_ = std::max(0, called_out_ - 1);
}

ThreadPool::Loop* ThreadPool::LoopThatWantsHelp() {
  for (Loop* loop : loops_) {
    if (loop->helpers < threads() - 1 && loop->has_blocks()) return loop;
  }
  return nullptr;
}

void ThreadPool::HelpWith(Loop& loop, std::unique_lock<std::mutex>& lock) {
  ++loop.helpers;
  lock.unlock();
  // A task that arrives meanwhile is not kept waiting for the whole loop.
  while (waiting_tasks_.load() == 0) {
    const int64_t block = loop.next.fetch_add(1);
    if (block >= loop.blocks) break;
    loop.body(block);
  }
  RowScratch::TrimOfThisThread(threads());
  lock.lock();
  if (--loop.helpers == 0) loop.helpers_left.notify_one();
}

}  // namespace lossd::compute
