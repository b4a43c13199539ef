// Messages as gRPC takes and hands them over: the one file with its buffers.
#ifndef LOSSD_SERVER_RPC_WIRE_MESSAGE_H_
#define LOSSD_SERVER_RPC_WIRE_MESSAGE_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <cstddef>
#include <string>
#include <vector>

#include "server/rpc/wire/buffer.h"
#include "server/rpc/wire/bytes.h"

namespace lossd::rpc::wire {

// A message that came in: gRPC's own memory, held for as long as this lives.
class ReceivedMessage {
 public:
  // Empties `message`. Copies nothing.
  explicit ReceivedMessage(grpc::ByteBuffer& message);

  Pieces pieces() const { return pieces_; }

 private:
  // Ends after the slices. gRPC 1.51 crashes where the last reference to memory
  // that its quota counts is a slice's and the thread is not one of its own;
  // the end of a buffer prepares it for that.
  grpc::ByteBuffer buffer_;
  std::vector<grpc::Slice> slices_;
  std::vector<Run> pieces_;
};

// A message to send, put together from front to back.
class OutgoingMessage {
 public:
  // Copies `bytes`, which are few.
  void Append(const std::string& bytes) { small_ += bytes; }
  // Takes over `buffer`, which is sent as it lies there.
  void Append(Buffer buffer);

  size_t size() const { return size_ + small_.size(); }

  // The whole of it, which is no longer here.
  grpc::ByteBuffer Release();

 private:
  void CloseSmall();

  std::vector<grpc::Slice> slices_;
  std::string small_;  // the end of the message, no slice yet
  size_t size_ = 0;    // of the slices
};

}  // namespace lossd::rpc::wire

#endif  // LOSSD_SERVER_RPC_WIRE_MESSAGE_H_
