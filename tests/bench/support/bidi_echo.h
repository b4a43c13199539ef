// The echo by lossd's own server model.
#ifndef LOSSD_TESTS_BENCH_SUPPORT_BIDI_ECHO_H_
#define LOSSD_TESTS_BENCH_SUPPORT_BIDI_ECHO_H_

#include <grpcpp/completion_queue.h>
#include <grpcpp/impl/service_type.h>

#include "tests/bench/support/handover.h"

namespace lossd::bench {

// The path that every echo serves and every client calls: the real service's.
inline constexpr char kEchoPath[] = "/lossd.v1.LossService/ComputeLoss";

// A call on a completion queue, its own tag; deletes itself when its last
// operation is done.
class QueueCall {
 public:
  virtual ~QueueCall() = default;
  virtual void Proceed(bool ok) = 0;
};

// Moves the queue's calls on until the queue is shut down.
void PollCalls(grpc::ServerCompletionQueue& queue);

// The service's path, registered as a bidirectional method: gRPC then hands
// over the call at its headers and leaves the message to be asked for. A call's
// one message is sent back as it lies.
class BidiEcho : public grpc::Service {
 public:
  BidiEcho();

  // Lets one more call of `queue` wait for a client; when it comes, the next
  // waits. Its message is read when `gate` is open and answered by `worker`.
  // All four outlive the calls.
  void AwaitCall(grpc::ServerCompletionQueue& queue, Gate& gate,
                 Worker& worker);

 private:
  class Call;
};

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_SUPPORT_BIDI_ECHO_H_
