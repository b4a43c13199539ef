#include "server/rpc/call_gate.h"

#include <algorithm>

namespace lossd::rpc {
namespace {

// How soon a second signal is seen during a drain.
constexpr std::chrono::milliseconds kGiveUpInterval(10);

}  // namespace

bool CallGate::Enter() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) return false;
  ++inside_;
  return true;
}

void CallGate::Leave() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (--inside_ == 0) left_.notify_all();
}

void CallGate::Close() {
  std::lock_guard<std::mutex> lock(mutex_);
  closed_ = true;
}

int64_t CallGate::inside() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return inside_;
}

bool CallGate::WaitUntilEmpty(std::chrono::steady_clock::time_point deadline,
                              const std::function<bool()>& give_up) {
  std::unique_lock<std::mutex> lock(mutex_);
  while (inside_ > 0) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= deadline || give_up()) return false;
    left_.wait_until(lock, std::min(deadline, now + kGiveUpInterval));
  }
  return true;
}

}  // namespace lossd::rpc
