#include "tests/e2e/wire.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <vector>

#include "google/rpc/status.pb.h"

namespace lossd {
namespace {

grpc::ByteBuffer ToBuffer(std::string_view bytes) {
  const grpc::Slice slice(bytes.data(), bytes.size());
  return grpc::ByteBuffer(&slice, 1);
}

std::string ToString(const grpc::ByteBuffer& buffer) {
  std::string bytes;
  std::vector<grpc::Slice> slices;
  if (!buffer.Valid() || !buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

}  // namespace

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  // Channels of one target would share a connection otherwise.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Refusals are to be seen, not retried.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(),
                                   arguments);
}

WireCall::WireCall(const std::shared_ptr<grpc::Channel>& channel,
                   const std::string& path)
    : stub_(channel) {
  context_.set_deadline(std::chrono::system_clock::now() +
                        std::chrono::minutes(2));
  stream_ = stub_.PrepareCall(&context_, path, &queue_);
  stream_->StartCall(nullptr);
  Next();
}

WireResult WireCall::Send(std::string_view message) {
  stream_->WriteLast(ToBuffer(message), grpc::WriteOptions(), nullptr);
  Next();
  return WaitForEnd();
}

WireResult WireCall::WaitForEnd() {
  WireResult result;
  grpc::ByteBuffer response;
  stream_->Read(&response, nullptr);
  if (Next()) result.response = ToString(response);
  stream_->Finish(&result.status, nullptr);
  Next();
  const auto& trailers = context_.GetServerTrailingMetadata();
  const auto pushback = trailers.find("grpc-retry-pushback-ms");
  if (pushback != trailers.end()) {
    result.pushback_ms.assign(pushback->second.data(), pushback->second.size());
  }
  return result;
}

bool WireCall::Next() {
  void* tag = nullptr;
  bool ok = false;
  queue_.Next(&tag, &ok);
  return ok;
}

WireResult CallRaw(const std::shared_ptr<grpc::Channel>& channel,
                   const std::string& path, std::string_view message) {
  return WireCall(channel, path).Send(message);
}

WireResult ComputeLoss(const std::shared_ptr<grpc::Channel>& channel,
                       const v1::ComputeLossRequest& request) {
  return CallRaw(channel, kComputeLossPath, request.SerializeAsString());
}

template <typename Detail>
std::optional<Detail> DetailOf(const grpc::Status& status) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return std::nullopt;
  for (const auto& any : details.details()) {
    Detail detail;
    if (any.UnpackTo(&detail)) return detail;
  }
  return std::nullopt;
}

template std::optional<google::rpc::ErrorInfo> DetailOf(const grpc::Status&);
template std::optional<google::rpc::BadRequest> DetailOf(const grpc::Status&);
template std::optional<google::rpc::RetryInfo> DetailOf(const grpc::Status&);

}  // namespace lossd
