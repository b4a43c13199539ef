#include "server/rpc/admission.h"

#include <algorithm>
#include <cassert>
#include <utility>
#include <vector>

namespace lossd::rpc {
namespace {

// The part of the budget that only small calls get.
constexpr int64_t kSmallShare = 16;

// How fast a caller's large calls are forgotten: by an eighth with each smaller
// one.
constexpr int64_t kForgetting = 8;

}  // namespace

Admission::Admission(int64_t budget_bytes) : budget_bytes_(budget_bytes) {
  assert(budget_bytes >= 0);
}

int64_t Admission::largest_call_bytes() const {
  return budget_bytes_ - budget_bytes_ / kSmallShare;
}

bool Admission::HasRoom(int64_t bytes) const {
  const int64_t budget =
      bytes <= kSmallBytes ? budget_bytes_ : largest_call_bytes();
  return budget_bytes_ == 0 || bytes <= budget - reserved_bytes_;
}

bool Admission::TryEnter(int64_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const bool is_small = bytes <= kSmallBytes;
  const bool is_first = is_small || large_waiting_ == 0;
  if (!is_first || !HasRoom(bytes)) return false;
  reserved_bytes_ += bytes;
  return true;
}

bool Admission::Wait(Waiter& waiter) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (static_cast<int64_t>(waiting_.size()) >= kMaxWaiting) return false;
    waiting_.push_back(&waiter);
    if (waiter.bytes > kSmallBytes) ++large_waiting_;
  }
  // There may be room since it was looked for.
  Free(0);
  return true;
}

bool Admission::GiveUp(Waiter& waiter) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (waiter.has_room) return false;
    const auto found = std::find(waiting_.begin(), waiting_.end(), &waiter);
    // One that too many were before.
    if (found == waiting_.end()) return true;
    waiting_.erase(found);
    if (waiter.bytes > kSmallBytes) --large_waiting_;
  }
  // Others may have waited behind it.
  Free(0);
  return true;
}

bool Admission::Resize(int64_t from, int64_t to) {
  if (to <= from) {
    Free(from - to);
    return true;
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  // It holds memory that others wait for: it does not wait for them.
  if (budget_bytes_ != 0 && to - from > budget_bytes_ - reserved_bytes_) {
    return false;
  }
  reserved_bytes_ += to - from;
  return true;
}

void Admission::Leave(int64_t bytes) { Free(bytes); }

void Admission::Free(int64_t bytes) {
  std::vector<std::function<void()>> on_room;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    reserved_bytes_ -= bytes;
    assert(reserved_bytes_ >= 0);
    bool large_blocked = false;
    for (auto it = waiting_.begin(); it != waiting_.end();) {
      Waiter& waiter = **it;
      const bool is_small = waiter.bytes <= kSmallBytes;
      if ((large_blocked && !is_small) || !HasRoom(waiter.bytes)) {
        large_blocked = large_blocked || !is_small;
        ++it;
        continue;
      }
      reserved_bytes_ += waiter.bytes;
      if (!is_small) --large_waiting_;
      waiter.has_room = true;
      // The waiter may be gone as soon as the lock is.
      on_room.push_back(std::move(waiter.on_room));
      it = waiting_.erase(it);
    }
  }
  for (const auto& call : on_room) call();
}

int64_t Admission::reserved_bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return reserved_bytes_;
}

int64_t Admission::waiting() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<int64_t>(waiting_.size());
}

int64_t CallerNeeds::NeedOf(std::string_view caller) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = needs_.find(std::string(caller));
  return found == needs_.end() ? 0 : found->second;
}

void CallerNeeds::Learn(std::string_view caller, int64_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::string key(caller);
  const auto found = needs_.find(key);
  if (found != needs_.end()) {
    int64_t& need = found->second;
    need = std::max(bytes, need - need / kForgetting);
    return;
  }
  if (needs_.size() >= kMaxCallers) needs_.clear();
  needs_.emplace(std::move(key), bytes);
}

}  // namespace lossd::rpc
