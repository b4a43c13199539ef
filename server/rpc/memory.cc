#include "server/rpc/memory.h"

#include <malloc.h>

#include <algorithm>

#include "server/rpc/wire/buffer.h"

namespace lossd::rpc {
namespace {

// gRPC's slices are far below; malloc takes no larger threshold.
constexpr int kMaxMmapThreshold = 32 << 20;

// Less is not worth a walk through malloc's lists.
constexpr size_t kMuch = size_t{4} << 20;

}  // namespace

void KeepFreeMemory(size_t bytes) {
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MMAP_THRESHOLD, kMaxMmapThreshold);
  mallopt(M_TRIM_THRESHOLD, static_cast<int>(bytes));
  wire::SetMaxPooledBytes(std::min(bytes, wire::kMaxPooledBytes));
}

void ReturnFreeMemory() {
  wire::EmptyBufferPool();
  if (mallinfo2().fordblks > kMuch) malloc_trim(0);
}

}  // namespace lossd::rpc
