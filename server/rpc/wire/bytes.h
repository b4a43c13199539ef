// Bytes of a message: where they came in, or in a copy of their own.
#ifndef LOSSD_SERVER_RPC_WIRE_BYTES_H_
#define LOSSD_SERVER_RPC_WIRE_BYTES_H_

#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "server/compute/row_source.h"

namespace lossd::rpc::wire {

using Run = absl::Span<const std::byte>;
using compute::Pieces;

// A string of bytes in one run of memory or several. Moving it leaves the bytes
// where they are; what it views must outlive it.
class Bytes {
 public:
  Bytes() = default;
  Bytes(Bytes&&) noexcept = default;
  Bytes& operator=(Bytes&&) noexcept = default;

  size_t size() const { return size_; }
  Pieces pieces() const { return pieces_; }
  // Whether these are the bytes that came in, and no copy.
  bool is_view() const { return own_.empty(); }

  void Clear();
  // Adds bytes at the end: as a view, where they are the first, or else as a
  // copy of all. So what a sender cuts into many small parts, for which there
  // is no reason, takes its own size and no more.
  void Append(Pieces pieces);
  // The same, of one run, as a copy.
  void AppendCopy(Run run);

  // All of them in one run: where they lie, if that is one, or else in a copy
  // that takes their place.
  Run Contiguous();

 private:
  void ViewOwn();
  void MakeOwn();

  std::vector<Run> pieces_;
  std::vector<std::byte> own_;
  size_t size_ = 0;
};

}  // namespace lossd::rpc::wire

#endif  // LOSSD_SERVER_RPC_WIRE_BYTES_H_
