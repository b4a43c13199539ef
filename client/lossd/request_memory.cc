#include "client/lossd/request_memory.h"

#include <algorithm>
#include <atomic>
#include <utility>

namespace lossd {
namespace {

// malloc hands smaller ones out again by itself.
constexpr size_t kMinKeptBytes = 64 * 1024;

}  // namespace

// Goes with a slice, from Join until gRPC drops it. gRPC orders what this
// thread did to it before what its own does, but in code that ThreadSanitizer
// does not see.
struct RequestMemory::Lease {
  std::shared_ptr<RequestMemory> memory;
  Buffer buffer;
  std::atomic<bool> is_handed_over{false};

  static void End(void* lease) {
    const std::unique_ptr<Lease> ended(static_cast<Lease*>(lease));
    (void)ended->is_handed_over.load(std::memory_order_acquire);
    ended->memory->GiveBack(std::move(ended->buffer));
  }
};

grpc::Slice RequestMemory::Join(absl::Span<const std::string_view> pieces) {
  size_t size = 0;
  for (const std::string_view piece : pieces) size += piece.size();
  auto* const lease = new Lease{shared_from_this(), Take(size)};
  char* const bytes = lease->buffer.bytes.get();
  char* end = bytes;
  for (const std::string_view piece : pieces) {
    end = std::copy(piece.begin(), piece.end(), end);
  }
  grpc::Slice slice(bytes, size, &Lease::End, lease);
  lease->is_handed_over.store(true, std::memory_order_release);
  return slice;
}

RequestMemory::Buffer RequestMemory::Take(size_t bytes) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    // Not one much too large: the next large request would find none.
    const auto found =
        std::find_if(kept_.begin(), kept_.end(), [bytes](const Buffer& buffer) {
          return buffer.size >= bytes && buffer.size / 2 <= bytes;
        });
    if (found != kept_.end()) {
      Buffer buffer = std::move(*found);
      kept_.erase(found);
      kept_bytes_ -= buffer.size;
      return buffer;
    }
  }
  return {std::make_unique_for_overwrite<char[]>(bytes), bytes};
}

void RequestMemory::GiveBack(Buffer buffer) {
  if (buffer.size < kMinKeptBytes || buffer.size > kMaxKeptBytes) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  kept_bytes_ += buffer.size;
  kept_.push_back(std::move(buffer));
  while (kept_bytes_ > kMaxKeptBytes) {
    kept_bytes_ -= kept_.front().size;
    kept_.pop_front();
  }
}

}  // namespace lossd
