#include "server/rpc/health_service.h"

#include <grpcpp/impl/rpc_service_method.h>

#include <iterator>

namespace lossd::rpc {
namespace {

using grpc::health::v1::HealthCheckResponse;

// In the order of Method.
constexpr const char* kPaths[] = {"/grpc.health.v1.Health/Check",
                                  "/grpc.health.v1.Health/Watch"};

}  // namespace

HealthService::HealthService() {
  for (int method = 0; method < static_cast<int>(std::size(kPaths)); ++method) {
    AddMethod(new grpc::internal::RpcServiceMethod(
        kPaths[method], grpc::internal::RpcMethod::BIDI_STREAMING, nullptr));
    MarkMethodRaw(method);
  }
}

const char* HealthService::PathOf(Method method) { return kPaths[method]; }

void HealthService::SetServing(bool serving) {
  const std::lock_guard<std::mutex> lock(mutex_);
  serving_.store(serving);
  for (HealthWatcher* const watcher : watchers_) watcher->OnHealthChange();
}

HealthService::Status HealthService::StatusOf(
    const std::string& service) const {
  if (service == kLivenessName) return HealthCheckResponse::SERVING;
  if (!service.empty() && service != kServiceName) {
    return HealthCheckResponse::SERVICE_UNKNOWN;
  }
  return serving_.load() ? HealthCheckResponse::SERVING
                         : HealthCheckResponse::NOT_SERVING;
}

void HealthService::Add(HealthWatcher* watcher) {
  const std::lock_guard<std::mutex> lock(mutex_);
  watchers_.insert(watcher);
}

void HealthService::Remove(HealthWatcher* watcher) {
  const std::lock_guard<std::mutex> lock(mutex_);
  watchers_.erase(watcher);
}

void HealthService::RequestCall(Method method, grpc::ServerContext* context,
                                LossService::Stream* stream,
                                grpc::ServerCompletionQueue* queue, void* tag) {
  RequestAsyncBidiStreaming(method, context, stream, queue, queue, tag);
}

}  // namespace lossd::rpc
