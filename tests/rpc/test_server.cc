#include "tests/rpc/test_server.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace lossd::rpc {
namespace {

template <typename Detail>
Detail DetailOf(const grpc::Status& status) {
  google::rpc::Status details;
  Detail detail;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  for (const auto& any : details.details()) {
    if (any.Is<Detail>()) any.UnpackTo(&detail);
  }
  return detail;
}

}  // namespace

Options TestOptions() {
  Options options;
  options.listen = {"127.0.0.1:0"};
  options.compute_threads = 2;
  return options;
}

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(),
                                   arguments);
}

TestServer::TestServer(Options options) {
  auto server = Server::Start(std::move(options));
  EXPECT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
  channel_ = Connect(server_->addresses().front());
  stub_ = v1::LossService::NewStub(channel_);
}

v1::ComputeLossResponse TestServer::ComputeLoss(
    const v1::ComputeLossRequest& request) {
  grpc::ClientContext context;
  v1::ComputeLossResponse response;
  const grpc::Status status = stub_->ComputeLoss(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

v1::GetServerInfoResponse TestServer::GetServerInfo() {
  grpc::ClientContext context;
  v1::GetServerInfoResponse response;
  const grpc::Status status = stub_->GetServerInfo(&context, {}, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

grpc::Status TestServer::StatusOf(const v1::ComputeLossRequest& request) {
  grpc::ClientContext context;
  v1::ComputeLossResponse response;
  return stub_->ComputeLoss(&context, request, &response);
}

grpc::health::v1::HealthCheckResponse::ServingStatus TestServer::Health(
    const std::string& service, grpc::Status* status) {
  const auto stub = grpc::health::v1::Health::NewStub(channel_);
  grpc::ClientContext context;
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  grpc::health::v1::HealthCheckResponse response;
  const grpc::Status result = stub->Check(&context, request, &response);
  if (status != nullptr) *status = result;
  return response.status();
}

RawCall::RawCall(const std::shared_ptr<grpc::Channel>& channel,
                 const std::string& method)
    : stub_(channel) {
  stream_ = stub_.PrepareCall(&context_, method, &queue_);
  stream_->StartCall(this);
  Wait();
}

RawCall::~RawCall() {
  context_.TryCancel();
  queue_.Shutdown();
  void* tag;
  bool ok;
  while (queue_.Next(&tag, &ok)) {
  }
}

bool RawCall::Send(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  stream_->Write(grpc::ByteBuffer(&slice, 1), this);
  return Wait();
}

bool RawCall::HalfClose() {
  stream_->WritesDone(this);
  return Wait();
}

bool RawCall::Receive(std::string& bytes) {
  grpc::ByteBuffer buffer;
  stream_->Read(&buffer, this);
  if (!Wait()) return false;
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(buffer.Dump(&slices).ok());
  bytes.clear();
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return true;
}

grpc::Status RawCall::Finish() {
  grpc::Status status;
  stream_->Finish(&status, this);
  Wait();
  return status;
}

bool RawCall::Wait() {
  void* tag = nullptr;
  bool ok = false;
  EXPECT_TRUE(queue_.Next(&tag, &ok));
  return ok;
}

grpc::Status StatusOfBytes(const std::shared_ptr<grpc::Channel>& channel,
                           const std::string& method, const std::string& bytes,
                           std::string* response) {
  RawCall call(channel, method);
  call.Send(bytes);
  call.HalfClose();
  std::string received;
  if (call.Receive(received) && response != nullptr) *response = received;
  return call.Finish();
}

google::rpc::ErrorInfo ErrorInfoOf(const grpc::Status& status) {
  return DetailOf<google::rpc::ErrorInfo>(status);
}

google::rpc::RetryInfo RetryInfoOf(const grpc::Status& status) {
  return DetailOf<google::rpc::RetryInfo>(status);
}

std::string FieldOf(const grpc::Status& status) {
  const auto bad_request = DetailOf<google::rpc::BadRequest>(status);
  if (bad_request.field_violations().empty()) return "";
  return bad_request.field_violations(0).field();
}

}  // namespace lossd::rpc
