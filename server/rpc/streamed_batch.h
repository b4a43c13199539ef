// One StreamLoss: its messages in, its answers out. No gRPC calls, no threads.
#ifndef LOSSD_SERVER_RPC_STREAMED_BATCH_H_
#define LOSSD_SERVER_RPC_STREAMED_BATCH_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/compute/loss.h"
#include "server/compute/thread_pool.h"
#include "server/rpc/computed_work.h"
#include "server/rpc/wire/bytes.h"

namespace lossd::rpc {

// A batch whose rows come in messages, as the contract of StreamLoss has it.
//
// Threads: one at a time.
class StreamedBatch {
 public:
  // `max_summary_bytes` bounds what waits for the last row: results per row,
  // and probabilities if they are asked for. Chunks are added to `computed`,
  // which outlives it.
  StreamedBatch(compute::ThreadPool& pool, int64_t max_summary_bytes,
                ComputedWork& computed);
  ~StreamedBatch();

  StreamedBatch(const StreamedBatch&) = delete;
  StreamedBatch& operator=(const StreamedBatch&) = delete;

  // Takes the stream's next message, which is empty then, and returns what is
  // to be answered now, if anything: the gradient of a chunk. The message's
  // memory is free when this returns, a header's when the batch ends.
  //
  // Errors: InvalidArgument: no message; neither header nor chunk; a chunk
  //   first, a header later; a chunk of no rows, of part of a row or of more
  //   rows than are left; what ComputeLoss refuses. ResourceExhausted: a
  //   summary larger than it may be. Whatever `stop_check` returns. The batch
  //   is of no more use then.
  absl::StatusOr<std::optional<grpc::ByteBuffer>> Take(
      grpc::ByteBuffer& message, compute::StopCheck stop_check);

  // Whether the last row has been computed.
  bool is_complete() const;

  // The logits that are still to come, as the header has it; 0 before it.
  int64_t bytes_left() const;

  // The last answer. REQUIRES: is_complete(); the first call.
  grpc::ByteBuffer Summary();

  // What to say when no more messages come: OK, or InvalidArgument: the stream
  // ended too early.
  absl::Status StatusAtEnd() const;

 private:
  struct Header;

  // Begins the batch of header_'s request.
  absl::Status Start();
  absl::StatusOr<std::optional<grpc::ByteBuffer>> Compute(
      const wire::Bytes& chunk, compute::StopCheck stop_check);
  // Of header_'s batch. REQUIRES: it has rows.
  int64_t RowBytes() const;

  compute::ThreadPool& pool_;
  const int64_t max_summary_bytes_;
  ComputedWork& computed_;
  int64_t messages_ = 0;
  std::unique_ptr<Header> header_;  // none until it came
};

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_STREAMED_BATCH_H_
