#include "client/lossd/connection.h"

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/lossd/batch_request.h"
#include "client/lossd/channel.h"
#include "client/lossd/error.h"
#include "client/lossd/retry.h"
#include "lossd/v1/loss_service.grpc.pb.h"

namespace lossd {
namespace {

// One attempt at a unary call, bytes to bytes.
grpc::Status CallOnce(grpc::GenericStub& stub, const std::string& method,
                      grpc::ClientContext& context,
                      const grpc::ByteBuffer& request,
                      grpc::ByteBuffer* answer) {
  // A server with a memory budget need not guess.
  context.AddMetadata("lossd-request-bytes", std::to_string(request.Length()));
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareUnaryCall(&context, method, request, &queue);
  grpc::Status status;
  call->StartCall();
  call->Finish(answer, &status, &queue);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  queue.Shutdown();
  queue.Next(&tag, &ok);
  return status;
}

std::string PathOf(const char* method) {
  return absl::StrCat("/", v1::LossService::service_full_name(), "/", method);
}

}  // namespace

Connection::Connection(
    const ClientOptions& options,
    const std::shared_ptr<grpc::ChannelCredentials>& credentials)
    : options_(options),
      channel_(MakeChannel(options, credentials)),
      stub_(channel_),
      max_request_bytes_(kMaxMessageBytes) {}

absl::StatusOr<grpc::ByteBuffer> Connection::Call(
    const char* method, const grpc::ByteBuffer& request, absl::Time deadline) {
  const std::string path = PathOf(method);
  grpc::ByteBuffer answer;
  const absl::Status status =
      CallWithRetries(options_.retry, options_.target, *channel_, deadline,
                      [&](grpc::ClientContext& context) {
                        return CallOnce(stub_, path, context, request, &answer);
                      });
  if (!status.ok()) return status;
  return answer;
}

absl::Status Connection::Stream(const StreamPlan& plan, absl::Time deadline,
                                v1::ComputeLossResponse* summary) {
  const std::string path = PathOf("StreamLoss");
  return CallWithRetries(options_.retry, options_.target, *channel_, deadline,
                         [&](grpc::ClientContext& context) {
                           return StreamOnce(stub_, path, context, plan,
                                             *memory_, summary);
                         });
}

bool Connection::LearnLimit(const absl::Status& status) {
  if (!absl::IsResourceExhausted(status)) return false;
  const ErrorDetails details = DetailsOf(status);
  const auto limit = details.metadata.find("max_request_bytes");
  int64_t bytes = 0;
  if (details.reason != "REQUEST_TOO_LARGE" ||
      limit == details.metadata.end() ||
      !absl::SimpleAtoi(limit->second, &bytes) || bytes < 1) {
    return false;
  }
  max_request_bytes_ = bytes;
  return true;
}

}  // namespace lossd
