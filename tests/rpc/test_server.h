// A server in this process and callers of it.
#ifndef LOSSD_TESTS_RPC_TEST_SERVER_H_
#define LOSSD_TESTS_RPC_TEST_SERVER_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>

#include <memory>
#include <string>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "lossd/v1/loss_service.grpc.pb.h"
#include "server/rpc/server.h"

namespace lossd::rpc {

// Options for a server of two threads on a free port of the loopback.
Options TestOptions();

// A channel of its own, without limits on messages.
std::shared_ptr<grpc::Channel> Connect(const std::string& address);

class TestServer {
 public:
  explicit TestServer(Options options = TestOptions());

  Server& server() { return *server_; }
  // Destroys the server.
  void Stop() { server_.reset(); }
  const std::shared_ptr<grpc::Channel>& channel() { return channel_; }
  v1::LossService::Stub& stub() { return *stub_; }

  // Calls that are expected to end with OK, and what they return.
  v1::ComputeLossResponse ComputeLoss(const v1::ComputeLossRequest& request);
  v1::GetServerInfoResponse GetServerInfo();

  // The status of one call.
  grpc::Status StatusOf(const v1::ComputeLossRequest& request);

  // The health of `service`; what it returned goes to `status`.
  grpc::health::v1::HealthCheckResponse::ServingStatus Health(
      const std::string& service, grpc::Status* status = nullptr);

 private:
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::LossService::Stub> stub_;
};

// A call by bytes, step by step; each step waits until it is done.
class RawCall {
 public:
  // Starts a call of `method`, as in "/lossd.v1.LossService/ComputeLoss".
  RawCall(const std::shared_ptr<grpc::Channel>& channel,
          const std::string& method);
  ~RawCall();

  // False when the call has ended.
  bool Send(const std::string& bytes);
  bool HalfClose();
  bool Receive(std::string& bytes);

  grpc::Status Finish();

  grpc::ClientContext& context() { return context_; }

 private:
  bool Wait();

  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  grpc::GenericStub stub_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

// Sends `bytes` as the one message of a call and returns how it ended.
grpc::Status StatusOfBytes(const std::shared_ptr<grpc::Channel>& channel,
                           const std::string& method, const std::string& bytes,
                           std::string* response = nullptr);

// The details of `status`; an empty message where it has none of this kind.
google::rpc::ErrorInfo ErrorInfoOf(const grpc::Status& status);
google::rpc::RetryInfo RetryInfoOf(const grpc::Status& status);
// The field of its BadRequest.
std::string FieldOf(const grpc::Status& status);

}  // namespace lossd::rpc

#endif  // LOSSD_TESTS_RPC_TEST_SERVER_H_
