// Memory for a tensor on its way out.
#ifndef LOSSD_SERVER_RPC_WIRE_BUFFER_H_
#define LOSSD_SERVER_RPC_WIRE_BUFFER_H_

#include <cstddef>
#include <utility>

#include "absl/types/span.h"

namespace lossd::rpc::wire {

// Bytes that the core fills and gRPC sends, without a copy between them. Not
// set to anything at first.
//
// Large ones come out of a pool and go back to it: a fresh page costs more than
// to compute and send what it holds. The pool keeps at most kMaxPooledBytes.
//
// Throws std::bad_alloc where there is no memory.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t size);
  ~Buffer() { Free(); }
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  absl::Span<std::byte> bytes() { return {data_, size_}; }
  absl::Span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  void Free();

  std::byte* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;  // of the pool's memory; 0: not from the pool
};

// The gradient of 256 rows of 50257 classes, and a little more.
inline constexpr size_t kMaxPooledBytes = size_t{52} << 20;

// Makes the pool keep at most `bytes`, up to kMaxPooledBytes.
void SetMaxPooledBytes(size_t bytes);

// What the pool holds.
size_t PooledBytes();

// Gives what the pool holds back to the system. Any thread.
void EmptyBufferPool();

}  // namespace lossd::rpc::wire

#endif  // LOSSD_SERVER_RPC_WIRE_BUFFER_H_
