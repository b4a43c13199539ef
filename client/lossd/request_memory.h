#ifndef LOSSD_CLIENT_LOSSD_REQUEST_MEMORY_H_
#define LOSSD_CLIENT_LOSSD_REQUEST_MEMORY_H_

#include <grpcpp/support/slice.h>

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <string_view>

#include "absl/types/span.h"

namespace lossd {

// Memory for the requests of one client, kept for the next one: memory that is
// new for each call costs more, in page faults, than what is copied into it.
// Why a copy at all: after a deadline gRPC may still be sending, when the
// caller's spans are gone.
//
// Threads: any number at once; gRPC gives memory back on its own.
class RequestMemory : public std::enable_shared_from_this<RequestMemory> {
 public:
  // What is kept when no call is under way, at most.
  static constexpr size_t kMaxKeptBytes = size_t{64} << 20;

  // A copy of `pieces`, one after the other, that keeps this alive.
  // REQUIRES: owned by a shared_ptr.
  grpc::Slice Join(absl::Span<const std::string_view> pieces);

 private:
  struct Buffer {
    std::unique_ptr<char[]> bytes;
    size_t size = 0;
  };
  struct Lease;

  Buffer Take(size_t bytes);
  void GiveBack(Buffer buffer);

  std::mutex mutex_;
  // Guarded by mutex_.
  std::deque<Buffer> kept_;  // the oldest first
  size_t kept_bytes_ = 0;
};

}  // namespace lossd

#endif  // LOSSD_CLIENT_LOSSD_REQUEST_MEMORY_H_
