// A call of one message and one answer.
#ifndef LOSSD_SERVER_RPC_UNARY_CALL_H_
#define LOSSD_SERVER_RPC_UNARY_CALL_H_

#include <grpcpp/support/byte_buffer.h>

#include "server/rpc/call.h"

namespace lossd::rpc {

// accepted -> reading -> queued -> computing -> finishing -> gone
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
  Call* Another() const override;
  void Begin() override;
  void OnRead(bool ok);
  // The pool's part.
  void Compute();

  const int method_;
  grpc::ByteBuffer request_;
  Tag read_tag_{this, [](Call& call, bool ok) {
                  static_cast<UnaryCall&>(call).OnRead(ok);
                }};
};

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_UNARY_CALL_H_
