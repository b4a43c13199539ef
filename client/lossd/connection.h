#ifndef LOSSD_CLIENT_LOSSD_CONNECTION_H_
#define LOSSD_CLIENT_LOSSD_CONNECTION_H_

#include <grpcpp/channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/lossd/options.h"
#include "client/lossd/request_memory.h"
#include "client/lossd/stream.h"
#include "lossd/v1/loss_service.pb.h"

namespace lossd {

// A client's channel, bytes to bytes, and what it has learned of the server.
//
// Threads: any number at once; each call blocks its own.
class Connection {
 public:
  // `credentials`: as MakeCredentials makes them of `options`.
  Connection(const ClientOptions& options,
             const std::shared_ptr<grpc::ChannelCredentials>& credentials);

  const ClientOptions& options() const { return options_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  RequestMemory& memory() { return *memory_; }

  // Calls a unary method of LossService, or StreamLoss, with retries.
  absl::StatusOr<grpc::ByteBuffer> Call(const char* method,
                                        const grpc::ByteBuffer& request,
                                        absl::Time deadline);
  absl::Status Stream(const StreamPlan& plan, absl::Time deadline,
                      v1::ComputeLossResponse* summary);

  // The most bytes of a message that the server takes, as far as it has said;
  // at first whatever a message can hold.
  int64_t max_request_bytes() const { return max_request_bytes_; }
  // Whether `status` says that a message was larger than the server takes; if
  // so, that is known from now on.
  bool LearnLimit(const absl::Status& status);

 private:
  const ClientOptions options_;
  const std::shared_ptr<grpc::Channel> channel_;
  grpc::GenericStub stub_;
  const std::shared_ptr<RequestMemory> memory_ =
      std::make_shared<RequestMemory>();
  std::atomic<int64_t> max_request_bytes_;
};

}  // namespace lossd

#endif  // LOSSD_CLIENT_LOSSD_CONNECTION_H_
