// A call of one message and one answer.
#ifndef LOSSD_SERVER_RPC_UNARY_CALL_H_
#define LOSSD_SERVER_RPC_UNARY_CALL_H_

#include <grpcpp/alarm.h>
#include <grpcpp/support/byte_buffer.h>

#include <optional>

#include "server/rpc/call.h"

namespace lossd::rpc {

// accepted -> waiting for memory -> reading -> queued -> computing -> finishing
// -> gone
//
// A poller moves it up to `queued` and hands the message to the pool; a pool
// thread computes and starts the finish. A small message the poller computes by
// itself. Every error goes straight to `finishing`.
class UnaryCall : public Call {
 public:
  UnaryCall(const CallEnvironment& environment, int method,
            grpc::ServerCompletionQueue* queue)
      : Call(environment, queue), method_(method) {}

 private:
  void Listen(grpc::ServerContext* context, void* tag) override;
  const char* path() const override { return LossService::PathOf(method_); }
  Call* Another() const override;
  std::optional<int> loss_method() const override { return method_; }
  void Begin() override;
  void OnRoom() override;
  void OnRead(bool ok);
  // Looks after a while whether others wait for what this call has reserved.
  void WatchReceiving();
  void OnLate(bool is_late);
  // The pool's part.
  void Compute();

  const int method_;
  grpc::ByteBuffer request_;
  bool is_reading_ = false;
  bool is_refused_ = false;  // while it was reading
  std::optional<grpc::Alarm> late_alarm_;
  Tag read_tag_{this, [](Call& call, bool ok) {
                  static_cast<UnaryCall&>(call).OnRead(ok);
                }};
  Tag late_tag_{this, [](Call& call, bool is_late) {
                  static_cast<UnaryCall&>(call).OnLate(is_late);
                }};
};

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_UNARY_CALL_H_
