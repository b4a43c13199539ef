// One call, from the wire to the wire.
#ifndef LOSSD_SERVER_RPC_CALL_H_
#define LOSSD_SERVER_RPC_CALL_H_

#include <grpcpp/completion_queue.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>

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

// The states of one call:
//
//   requested -> accepted -> reading -> queued -> computing -> finishing ->
//   gone
//
// A poller moves it up to `queued` and hands the message to the pool; a pool
// thread computes and starts the finish. Every error goes straight to
// `finishing`. Cancellation and the deadline are looked at when it is accepted,
// read and dequeued, and between blocks of rows.
//
// A call owns itself and is gone when gRPC has returned all its tags and its
// task has ended.
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

 private:
  using Clock = std::chrono::steady_clock;

  // What comes back from gRPC; it points back to its call.
  struct Tag {
    Call* call;
    void (Call::*handle)(bool ok);
  };

  Call(const CallEnvironment& environment, int method,
       grpc::ServerCompletionQueue* queue);
  ~Call();

  void OnAccepted(bool ok);
  void OnRead(bool ok);
  void OnFinished(bool ok);
  void OnDone(bool ok);

  // The pool's part.
  void Compute();

  void Finish(const absl::Status& status);
  void FinishWith(const grpc::ByteBuffer& response);

  // Ok while the caller still wants the answer.
  absl::Status CheckStop() const;

  // Orders what this thread did to the call before what the next one does.
  void HandOver() { hand_overs_.fetch_add(1, std::memory_order_acq_rel); }
  // Gives up one hold on the call.
  void Release();

  const CallEnvironment& environment_;
  const int method_;
  grpc::ServerCompletionQueue* const queue_;
  grpc::ServerContext context_;
  LossService::Stream stream_;
  grpc::ByteBuffer request_;
  Clock::time_point deadline_ = Clock::time_point::max();
  bool inside_ = false;  // passed the gate
  std::atomic<bool> cancelled_{false};
  std::atomic<int> holds_{0};
  // gRPC orders its events by itself, but in code that ThreadSanitizer, which
  // checks the rest of the call, does not see.
  std::atomic<uint32_t> hand_overs_{0};

  Tag accepted_tag_{this, &Call::OnAccepted};
  Tag read_tag_{this, &Call::OnRead};
  Tag finished_tag_{this, &Call::OnFinished};
  Tag done_tag_{this, &Call::OnDone};
};

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_CALL_H_
