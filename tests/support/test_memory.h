// Bytes laid out so that a read or write beside them shows.
#ifndef LOSSD_TESTS_SUPPORT_TEST_MEMORY_H_
#define LOSSD_TESTS_SUPPORT_TEST_MEMORY_H_

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "absl/types/span.h"
#include "server/compute/row_source.h"

namespace lossd::testing {

inline constexpr size_t kTestAlignment = 64;

// `size` bytes at `offset` past a multiple of kTestAlignment, between guard
// bytes; filled with these at first.
class GuardedBytes {
 public:
  GuardedBytes(size_t size, size_t offset)
      : bytes_(size + 3 * kTestAlignment, kGuard), size_(size) {
    void* address = bytes_.data() + 1;
    size_t room = bytes_.size() - 1;
    begin_ = static_cast<std::byte*>(std::align(
                 kTestAlignment, 2 * kTestAlignment, address, room)) +
             offset;
  }
  GuardedBytes(const GuardedBytes&) = delete;
  GuardedBytes& operator=(const GuardedBytes&) = delete;

  absl::Span<std::byte> span() { return {begin_, size_}; }

  bool GuardsAreUntouched() const {
    for (const std::byte& b : bytes_) {
      if ((&b < begin_ || &b >= begin_ + size_) && b != kGuard) return false;
    }
    return true;
  }

  template <typename T>
  std::vector<T> Read() const {
    std::vector<T> values(size_ / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), begin_, size_);
    return values;
  }

 private:
  static constexpr auto kGuard = static_cast<std::byte>(0xA5);

  std::vector<std::byte> bytes_;
  size_t size_;
  std::byte* begin_;
};

// A copy in exactly as many bytes on the heap, so that address sanitizer sees a
// read past either end; only the offset lies before them.
class ExactBytes {
 public:
  ExactBytes(const void* data, size_t size, size_t offset)
      : buffer_(static_cast<std::byte*>(
            ::operator new (offset + size, std::align_val_t{kTestAlignment}))),
        span_(buffer_.get() + offset, size) {
    if (size > 0) std::memcpy(buffer_.get() + offset, data, size);
  }

  absl::Span<const std::byte> span() const { return span_; }

 private:
  struct Free {
    void operator()(std::byte* p) const {
      ::operator delete (p, std::align_val_t{kTestAlignment});
    }
  };
  std::unique_ptr<std::byte, Free> buffer_;
  absl::Span<const std::byte> span_;
};

// A copy of a tensor's bytes, cut where `cuts` say, ascending: each piece is an
// ExactBytes.
class CutBytes {
 public:
  template <typename T>
  CutBytes(const std::vector<T>& values, const std::vector<size_t>& cuts,
           size_t offset) {
    const auto* data = reinterpret_cast<const std::byte*>(values.data());
    size_t begin = 0;
    for (size_t cut : cuts) {
      pieces_.emplace_back(data + begin, cut - begin, offset);
      begin = cut;
    }
    pieces_.emplace_back(data + begin, values.size() * sizeof(T) - begin,
                         offset);
    for (const ExactBytes& piece : pieces_) spans_.push_back(piece.span());
  }

  compute::Pieces pieces() const { return spans_; }

 private:
  std::vector<ExactBytes> pieces_;
  std::vector<absl::Span<const std::byte>> spans_;
};

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_SUPPORT_TEST_MEMORY_H_
