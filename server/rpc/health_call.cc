#include "server/rpc/health_call.h"

#include <grpcpp/support/proto_buffer_reader.h>

#include "server/compute/error.h"
#include "server/rpc/errors.h"

namespace lossd::rpc {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

absl::StatusOr<std::string> ServiceOf(grpc::ByteBuffer& message) {
  HealthCheckRequest request;
  grpc::ProtoBufferReader reader(&message);
  if (!reader.status().ok() || !request.ParseFromZeroCopyStream(&reader)) {
    return NotAMessage(HealthCheckRequest::descriptor()->full_name());
  }
  return request.service();
}

grpc::ByteBuffer MessageOf(HealthService::Status status) {
  HealthCheckResponse response;
  response.set_status(status);
  const grpc::Slice slice(response.SerializeAsString());
  return {&slice, 1};
}

absl::Status UnknownService(const std::string& service) {
  return compute::MakeError(
      absl::StatusCode::kNotFound,
      "no service \"" + service + "\" here, want \"\" or \"" + kServiceName +
          "\"",
      {"UNKNOWN_SERVICE", "service", {{"service", service}}});
}

}  // namespace

void HealthCall::Listen(grpc::ServerContext* context, void* tag) {
  environment().health.RequestCall(method_, context, &stream(), queue(), tag);
}

void HealthCall::Begin() {
  HandOver();
  stream().Read(&request_, &read_tag_);
}

void HealthCall::OnRead(bool ok) {
  if (!ok) return Finish(NoRequestMessage());
  const absl::StatusOr<std::string> service = ServiceOf(request_);
  request_.Clear();
  if (!service.ok()) return Finish(service.status());
  Answer(*service);
}

Call* HealthCheckCall::Another() const {
  return new HealthCheckCall(environment(), queue());
}

void HealthCheckCall::Answer(const std::string& service) {
  const HealthService::Status status = environment().health.StatusOf(service);
  if (status == HealthCheckResponse::SERVICE_UNKNOWN) {
    return Finish(UnknownService(service));
  }
  FinishWith(MessageOf(status));
}

Call* HealthWatchCall::Another() const {
  return new HealthWatchCall(environment(), queue());
}

void HealthWatchCall::Answer(const std::string& service) {
  service_ = service;
  Hold();  // until nobody knows of it any more
  environment().health.Add(this);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_watching_ = true;
    Write();
  }
  EndIfGone();
}

void HealthWatchCall::OnHealthChange() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (is_watching_) Write();
}

void HealthWatchCall::OnGone() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_gone_ = true;
  }
  EndIfGone();
}

void HealthWatchCall::OnWritten(bool ok) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_writing_ = false;
    if (!ok) is_gone_ = true;
    if (is_watching_) Write();
  }
  EndIfGone();
  Release();
}

void HealthWatchCall::Write() {
  if (is_writing_ || is_gone_) return;
  const HealthService::Status status = environment().health.StatusOf(service_);
  if (told_ == status) return;
  told_ = status;
  response_ = MessageOf(status);
  is_writing_ = true;
  Hold();
  stream().Write(response_, &written_tag_);
}

void HealthWatchCall::EndIfGone() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!is_gone_ || is_writing_ || !is_watching_) return;
    is_watching_ = false;
  }
  environment().health.Remove(this);
  Finish(CallerCancelled());
  Release();
}

}  // namespace lossd::rpc
