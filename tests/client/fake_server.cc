#include "tests/client/fake_server.h"

#include <grpc/grpc.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <stdexcept>
#include <utility>

namespace lossd::testing {

grpc::Status FakeServer::Service::ComputeLoss(
    grpc::ServerContext* context, const v1::ComputeLossRequest* request,
    v1::ComputeLossResponse* response) {
  ++calls;
  return handler(*context, *request, *response);
}

grpc::Status FakeServer::Service::ComputeHessianVectorProduct(
    grpc::ServerContext*, const v1::ComputeHessianVectorProductRequest* request,
    v1::ComputeHessianVectorProductResponse* response) {
  ++calls;
  HessianHandler second_order;
  {
    std::lock_guard<std::mutex> lock(mutex);
    second_order = hessian_handler;
  }
  if (second_order == nullptr) {
    return {grpc::StatusCode::UNIMPLEMENTED, "no second order"};
  }
  return second_order(*request, *response);
}

grpc::Status FakeServer::Service::StreamLoss(grpc::ServerContext* context,
                                             Stream* stream) {
  ++calls;
  StreamHandler streaming;
  {
    std::lock_guard<std::mutex> lock(mutex);
    streaming = stream_handler;
  }
  if (streaming == nullptr) {
    return {grpc::StatusCode::UNIMPLEMENTED, "no streams"};
  }
  return streaming(*context, *stream);
}

grpc::Status FakeServer::Service::GetServerInfo(
    grpc::ServerContext*, const v1::GetServerInfoRequest*,
    v1::GetServerInfoResponse* response) {
  response->set_version("1.2.3");
  response->set_kernel("FAKE");
  response->set_compute_threads(3);
  response->set_max_request_bytes(1000);
  response->set_memory_budget_bytes(2000);
  response->add_losses("huber");
  response->add_data_types(v1::DATA_TYPE_FLOAT64);
  return grpc::Status::OK;
}

FakeServer::FakeServer(Handler handler, const std::string& address) {
  // Never ended: after writes that were cut short, the end of gRPC's last user
  // waits for one of its own threads, for 10 s (1.51).
  static const bool initialized = (grpc_init(), true);
  static_cast<void>(initialized);
  service_.handler = std::move(handler);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetMaxReceiveMessageSize(-1);
  builder.RegisterService(&service_);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) throw std::runtime_error("cannot listen: " + address);
  target_ = address.starts_with("unix:") ? address
                                         : "127.0.0.1:" + std::to_string(port);
}

FakeServer::~FakeServer() {
  server_->Shutdown(std::chrono::system_clock::now());
}

void FakeServer::OnHessianVectorProduct(HessianHandler handler) {
  std::lock_guard<std::mutex> lock(service_.mutex);
  service_.hessian_handler = std::move(handler);
}

void FakeServer::OnStreamLoss(StreamHandler handler) {
  std::lock_guard<std::mutex> lock(service_.mutex);
  service_.stream_handler = std::move(handler);
}

void FakeServer::SetServing(const std::string& service, bool serving) {
  server_->GetHealthCheckService()->SetServingStatus(service, serving);
}

}  // namespace lossd::testing
