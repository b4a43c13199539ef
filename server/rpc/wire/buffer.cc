#include "server/rpc/wire/buffer.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <new>
#include <vector>

namespace lossd::rpc::wire {
namespace {

// malloc keeps smaller ones by itself.
constexpr size_t kMinPooledBytes = size_t{1} << 20;
// The pool's sizes are whole huge pages: one is filled as fast as a few small
// ones.
constexpr size_t kHugePageBytes = size_t{2} << 20;

struct Memory {
  std::byte* data = nullptr;
  size_t capacity = 0;
};

void Unmap(const Memory& memory) { munmap(memory.data, memory.capacity); }

Memory Map(size_t capacity) {
  // Room to begin at a huge page.
  const size_t room = capacity + kHugePageBytes;
  void* const mapped = mmap(nullptr, room, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  auto* const begin = static_cast<std::byte*>(mapped);
  const auto address = reinterpret_cast<uintptr_t>(mapped);
  const size_t before =
      (kHugePageBytes - address % kHugePageBytes) % kHugePageBytes;
  if (before > 0) munmap(begin, before);
  const size_t after = room - before - capacity;
  if (after > 0) munmap(begin + before + capacity, after);
  // Where the system has no huge pages, small ones do.
  madvise(begin + before, capacity, MADV_HUGEPAGE);
  return {begin + before, capacity};
}

// Memory that nobody uses, the longest unused first.
class Pool {
 public:
  // The memory that fits best, if any does without wasting half of it.
  Memory Take(size_t capacity) {
    const std::lock_guard<std::mutex> lock(mutex_);
    auto best = free_.end();
    for (auto it = free_.begin(); it != free_.end(); ++it) {
      if (it->capacity < capacity || it->capacity > 2 * capacity) continue;
      if (best == free_.end() || it->capacity <= best->capacity) best = it;
    }
    if (best == free_.end()) return {};
    const Memory memory = *best;
    free_.erase(best);
    bytes_ -= memory.capacity;
    return memory;
  }

  void Put(Memory memory) {
    std::vector<Memory> excess;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      free_.push_back(memory);
      bytes_ += memory.capacity;
      for (; bytes_ > max_bytes_; free_.erase(free_.begin())) {
        excess.push_back(free_.front());
        bytes_ -= free_.front().capacity;
      }
    }
    for (const Memory& memory : excess) Unmap(memory);
  }

  void Empty() {
    std::vector<Memory> excess;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      excess.swap(free_);
      bytes_ = 0;
    }
    for (const Memory& memory : excess) Unmap(memory);
  }

  void SetMaxBytes(size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    max_bytes_ = std::min(bytes, kMaxPooledBytes);
  }

  size_t bytes() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return bytes_;
  }

 private:
  std::mutex mutex_;
  std::vector<Memory> free_;            // guarded by mutex_
  size_t bytes_ = 0;                    // of free_; guarded by mutex_
  size_t max_bytes_ = kMaxPooledBytes;  // guarded by mutex_
};

// Never destroyed: gRPC may let go of a buffer when the program ends.
Pool& ThePool() {
  static Pool& pool = *new Pool;
  return pool;
}

}  // namespace

Buffer::Buffer(size_t size) : size_(size) {
  if (size == 0) return;
  if (size < kMinPooledBytes) {
    data_ = static_cast<std::byte*>(::operator new(size));
    return;
  }
  capacity_ = (size + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  Memory memory = ThePool().Take(capacity_);
  if (memory.data == nullptr) memory = Map(capacity_);
  data_ = memory.data;
  capacity_ = memory.capacity;
}

void Buffer::Free() {
  if (data_ == nullptr) return;
  if (capacity_ == 0) {
    ::operator delete(data_);
  } else {
    ThePool().Put({data_, capacity_});
  }
}

void SetMaxPooledBytes(size_t bytes) { ThePool().SetMaxBytes(bytes); }

size_t PooledBytes() { return ThePool().bytes(); }

void EmptyBufferPool() { ThePool().Empty(); }

}  // namespace lossd::rpc::wire
