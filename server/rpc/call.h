// One call, from the wire to the wire: what all kinds of calls share.
#ifndef LOSSD_SERVER_RPC_CALL_H_
#define LOSSD_SERVER_RPC_CALL_H_

#include <grpcpp/completion_queue.h>
#include <grpcpp/server_context.h>

#include <atomic>
#include <chrono>
#include <cstdint>

#include "absl/status/status.h"
#include "server/compute/thread_pool.h"
#include "server/rpc/call_gate.h"
#include "server/rpc/loss_service.h"

namespace lossd::rpc {

// What all calls of a server share; outlives them.
struct CallEnvironment {
  LossService& service;
  compute::ThreadPool& pool;
  CallGate& gate;
  // Call objects, those among them that only wait for a caller; 0 notifies.
  std::atomic<int64_t>& live_calls;
  int64_t max_request_bytes;
};

// A call waits for its caller, is let in or refused, reads, computes and
// finishes; how, its subclasses say. Cancellation and the deadline are looked
// at wherever it goes on, and between blocks of rows.
//
// A call owns itself and is gone when gRPC has returned all its tags and its
// tasks have ended: whatever will come back to it holds it.
class Call {
 public:
  // Asks for the next call of `method` on `queue`; it lives from then on.
  // `environment` outlives it.
  static void Request(const CallEnvironment& environment, int method,
                      grpc::ServerCompletionQueue* queue);

  // What a poller does with each event of a queue that carries calls.
  static void HandleEvent(void* tag, bool ok);

  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 protected:
  Call(const CallEnvironment& environment, int method,
       grpc::ServerCompletionQueue* queue);
  virtual ~Call();

  // What comes back from gRPC; it points back to its call.
  struct Tag {
    Call* call;
    void (*handle)(Call& call, bool ok);
  };

  // A call came and was let in. A poller's thread.
  virtual void Begin() = 0;

  // Ends the call. REQUIRES: not ended yet; no other operation is started.
  void Finish(const absl::Status& status);

  // Ok while the caller still wants the answer.
  absl::Status CheckStop() const;
  void Cancel() { cancelled_.store(true); }

  // Takes one more hold on the call, for a tag or a task to come; gives one up.
  void Hold() { holds_.fetch_add(1, std::memory_order_relaxed); }
  void Release();
  // Orders what this thread did to the call before what the next one does.
  void HandOver() { hand_overs_.fetch_add(1, std::memory_order_acq_rel); }

  const CallEnvironment& environment() const { return environment_; }
  int method() const { return method_; }
  LossService::Stream& stream() { return stream_; }
  // Finish's, held from the start.
  Tag* finished_tag() { return &finished_tag_; }

 private:
  using Clock = std::chrono::steady_clock;

  void OnAccepted(bool ok);
  void OnDone();

  const CallEnvironment& environment_;
  const int method_;
  grpc::ServerCompletionQueue* const queue_;
  grpc::ServerContext context_;
  LossService::Stream stream_;
  Clock::time_point deadline_ = Clock::time_point::max();
  bool inside_ = false;  // passed the gate
  std::atomic<bool> cancelled_{false};
  std::atomic<int> holds_{0};
  // gRPC orders its events by itself, but in code that ThreadSanitizer, which
  // checks the rest of the call, does not see.
  std::atomic<uint32_t> hand_overs_{0};

  Tag accepted_tag_{this, [](Call& call, bool ok) { call.OnAccepted(ok); }};
  Tag finished_tag_{this, [](Call& call, bool) { call.Release(); }};
  Tag done_tag_{this, [](Call& call, bool) { call.OnDone(); }};
};

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_CALL_H_
