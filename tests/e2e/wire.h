// Calls as raw bytes, and what their errors carry.
#ifndef LOSSD_TESTS_E2E_WIRE_H_
#define LOSSD_TESTS_E2E_WIRE_H_

#include <gmock/gmock.h>
#include <google/protobuf/message_lite.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "google/rpc/error_details.pb.h"
#include "lossd/v1/loss_service.pb.h"

namespace lossd {

inline constexpr char kComputeLossPath[] = "/lossd.v1.LossService/ComputeLoss";

// A connection of its own to `address`, as lossd printed it; any message size.
std::shared_ptr<grpc::Channel> Connect(const std::string& address);

// How a call ended.
struct WireResult {
  grpc::Status status;
  std::string response;     // the message's bytes; empty when there is none
  std::string pushback_ms;  // trailing metadata grpc-retry-pushback-ms
};

// A unary call whose message may be sent later than its headers.
class WireCall {
 public:
  // Sends the headers of a call of `path`.
  WireCall(const std::shared_ptr<grpc::Channel>& channel,
           const std::string& path);

  // Sends the message and waits for the end. Call once.
  WireResult Send(std::string_view message);

  // Waits for the end without having sent a message. Call once, instead of
  // Send.
  WireResult WaitForEnd();

  void Cancel() { context_.TryCancel(); }

 private:
  bool Next();

  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

// A unary call of `path` with `message`.
WireResult CallRaw(const std::shared_ptr<grpc::Channel>& channel,
                   const std::string& path, std::string_view message);

// ComputeLoss of `request`.
WireResult ComputeLoss(const std::shared_ptr<grpc::Channel>& channel,
                       const v1::ComputeLossRequest& request);

// The error detail of this type, if `status` carries one.
template <typename Detail>
std::optional<Detail> DetailOf(const grpc::Status& status);

// An OK status, or one whose details are as the contract has them: an ErrorInfo
// of lossd, a RetryInfo for UNAVAILABLE, all in under 4 KiB.
MATCHER(IsClear, "") {
  const grpc::Status& status = arg.status;
  if (status.ok()) return true;
  *result_listener << "code " << status.error_code() << ": "
                   << status.error_message();
  const auto info = DetailOf<google::rpc::ErrorInfo>(status);
  const bool unavailable = status.error_code() == grpc::UNAVAILABLE;
  return info && info->domain() == "lossd" && !info->reason().empty() &&
         !status.error_message().empty() &&
         DetailOf<google::rpc::RetryInfo>(status).has_value() == unavailable &&
         arg.pushback_ms.empty() != unavailable &&
         status.error_message().size() + status.error_details().size() < 4096;
}

// A clear status of this code whose message contains this.
MATCHER_P2(IsRefusal, code, message, "") {
  *result_listener << "code " << arg.status.error_code() << ": "
                   << arg.status.error_message();
  return arg.status.error_code() == code &&
         arg.status.error_message().find(message) != std::string::npos &&
         testing::Matches(IsClear())(arg);
}

// An INVALID_ARGUMENT that blames this field and whose message contains this.
MATCHER_P2(Blames, field, message, "") {
  *result_listener << "code " << arg.status.error_code() << ": "
                   << arg.status.error_message();
  const auto bad = DetailOf<google::rpc::BadRequest>(arg.status);
  if (bad) *result_listener << "; " << bad->ShortDebugString();
  return bad && bad->field_violations_size() == 1 &&
         bad->field_violations(0).field() == field &&
         testing::Matches(IsRefusal(grpc::INVALID_ARGUMENT, message))(arg);
}

}  // namespace lossd

#endif  // LOSSD_TESTS_E2E_WIRE_H_
