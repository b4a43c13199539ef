// grpc.health.v1.Health on the server's own queues.
#ifndef LOSSD_SERVER_RPC_HEALTH_SERVICE_H_
#define LOSSD_SERVER_RPC_HEALTH_SERVICE_H_

#include <grpcpp/completion_queue.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/server_context.h>

#include <atomic>
#include <mutex>
#include <set>
#include <string>

#include "grpc/health/v1/health.pb.h"
#include "server/rpc/loss_service.h"

namespace lossd::rpc {

// Whoever wants to know of every change.
class HealthWatcher {
 public:
  // The health may be another one now. Not to call back.
  virtual void OnHealthChange() = 0;

 protected:
  ~HealthWatcher() = default;
};

// The name under which a server is always serving: for a probe whose failure
// means that the process is to be killed, which a drain is no reason for.
inline constexpr char kLivenessName[] = "liveness";

// The health of this server, under "" and under kServiceName. gRPC has such a
// service of its own, but of its callback kind: the threads that it starts poll
// for everybody, and half of all wake-ups of a small call were theirs
// (docs/adr/0001-server-model.md).
//
// Threads: all members may be called from any thread.
class HealthService : public grpc::Service {
 public:
  using Status = grpc::health::v1::HealthCheckResponse::ServingStatus;

  enum Method { kCheck, kWatch };

  HealthService();

  // As in "/grpc.health.v1.Health/Check".
  static const char* PathOf(Method method);

  // Not serving at first.
  void SetServing(bool serving);

  // SERVICE_UNKNOWN for a service that is not here.
  Status StatusOf(const std::string& service) const;

  // From Add to Remove, `watcher` is told of changes; afterwards no more.
  void Add(HealthWatcher* watcher);
  void Remove(HealthWatcher* watcher);

  // Asks gRPC for the next call of `method`: `tag` comes back on `queue`.
  void RequestCall(Method method, grpc::ServerContext* context,
                   LossService::Stream* stream,
                   grpc::ServerCompletionQueue* queue, void* tag);

 private:
  std::atomic<bool> serving_{false};
  std::mutex mutex_;
  std::set<HealthWatcher*> watchers_;  // guarded by mutex_
};

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_HEALTH_SERVICE_H_
