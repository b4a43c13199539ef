// Memory for a tensor on its way out.
#ifndef LOSSD_SERVER_RPC_WIRE_BUFFER_H_
#define LOSSD_SERVER_RPC_WIRE_BUFFER_H_

#include <cstddef>
#include <memory>
#include <utility>

#include "absl/types/span.h"

namespace lossd::rpc::wire {

// Bytes that the core fills and gRPC sends, without a copy between them. Not
// set to anything at first.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t size)
      : bytes_(std::make_unique_for_overwrite<std::byte[]>(size)),
        size_(size) {}
  Buffer(Buffer&& other) noexcept
      : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    bytes_ = std::move(other.bytes_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  absl::Span<std::byte> bytes() { return {bytes_.get(), size_}; }
  absl::Span<const std::byte> bytes() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  size_t size_ = 0;
};

}  // namespace lossd::rpc::wire

#endif  // LOSSD_SERVER_RPC_WIRE_BUFFER_H_
