// Calls of grpc.health.v1.Health. They are let in whatever the gate says: that
// a server drains is an answer.
#ifndef LOSSD_SERVER_RPC_HEALTH_CALL_H_
#define LOSSD_SERVER_RPC_HEALTH_CALL_H_

#include <grpcpp/support/byte_buffer.h>

#include <mutex>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/rpc/call.h"
#include "server/rpc/health_service.h"

namespace lossd::rpc {

// What both methods begin with: one message that names a service.
class HealthCall : public Call {
 protected:
  HealthCall(const CallEnvironment& environment, HealthService::Method method,
             grpc::ServerCompletionQueue* queue)
      : Call(environment, queue), method_(method) {}

  void Listen(grpc::ServerContext* context, void* tag) override;
  const char* path() const override { return HealthService::PathOf(method_); }
  void Begin() override;

  // The message came and named `service`.
  virtual void Answer(const std::string& service) = 0;

 private:
  void OnRead(bool ok);

  const HealthService::Method method_;
  grpc::ByteBuffer request_;
  Tag read_tag_{this, [](Call& call, bool ok) {
                  static_cast<HealthCall&>(call).OnRead(ok);
                }};
};

class HealthCheckCall : public HealthCall {
 public:
  HealthCheckCall(const CallEnvironment& environment,
                  grpc::ServerCompletionQueue* queue)
      : HealthCall(environment, HealthService::kCheck, queue) {}

 private:
  Call* Another() const override;
  void Answer(const std::string& service) override;
};

// Writes the health, and again at every change, until the caller is gone. Of
// changes that come while one is written the last counts.
class HealthWatchCall : public HealthCall, public HealthWatcher {
 public:
  HealthWatchCall(const CallEnvironment& environment,
                  grpc::ServerCompletionQueue* queue)
      : HealthCall(environment, HealthService::kWatch, queue) {}

  void OnHealthChange() override;

 private:
  Call* Another() const override;
  void Answer(const std::string& service) override;
  void OnGone() override;
  void OnWritten(bool ok);

  // With mutex_ held: writes the health, if it is news.
  void Write();
  // Ends the call, if the caller is gone and nothing is under way.
  void EndIfGone();

  std::string service_;  // set before anybody else knows of the call
  std::mutex mutex_;     // guards all below
  bool is_watching_ = false;
  bool is_writing_ = false;
  bool is_gone_ = false;
  std::optional<HealthService::Status> told_;
  grpc::ByteBuffer response_;
  Tag written_tag_{this, [](Call& call, bool ok) {
                     static_cast<HealthWatchCall&>(call).OnWritten(ok);
                   }};
};

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_HEALTH_CALL_H_
