#include "server/compute/thread_pool.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace lossd::compute {

ThreadPool::ThreadPool(int threads) {
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
  }
  work_arrived_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::Submit(std::function<void()> task) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    tasks_.push_back(std::move(task));
    waiting_tasks_.store(static_cast<int64_t>(tasks_.size()));
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
  {
    std::lock_guard<std::mutex> lock(mutex_);
    loops_.push_back(&loop);
  }
  for (int64_t i = 0; i < helpers_wanted; ++i) work_arrived_.notify_one();
  for (int64_t block; (block = loop.next.fetch_add(1)) < blocks;) body(block);
  std::unique_lock<std::mutex> lock(mutex_);
  loops_.erase(std::find(loops_.begin(), loops_.end(), &loop));
  loop.helpers_left.wait(lock, [&] { return loop.helpers == 0; });
}

void ThreadPool::RunWorker() {
  std::unique_lock<std::mutex> lock(mutex_);
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
    } else if (stopping_) {
      return;
    } else {
      work_arrived_.wait(lock);
    }
  }
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
  lock.lock();
  if (--loop.helpers == 0) loop.helpers_left.notify_one();
}

}  // namespace lossd::compute
