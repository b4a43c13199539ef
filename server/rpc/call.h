// One call, from the wire to the wire: what all kinds of calls share.
#ifndef LOSSD_SERVER_RPC_CALL_H_
#define LOSSD_SERVER_RPC_CALL_H_

#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/compute/thread_pool.h"
#include "server/rpc/admission.h"
#include "server/rpc/best_rate.h"
#include "server/rpc/call_gate.h"
#include "server/rpc/failure_log.h"
#include "server/rpc/health_service.h"
#include "server/rpc/loss_service.h"
#include "server/rpc/metrics.h"
#include "server/rpc/phase_times.h"
#include "server/rpc/policy_file.h"
#include "server/rpc/status.h"

namespace lossd::rpc {

// What all calls of a server share; outlives them.
struct CallEnvironment {
  LossService& service;
  HealthService& health;
  compute::ThreadPool& pool;
  CallGate& gate;
  Admission& admission;
  CallerNeeds& needs;
  std::vector<BestRate>& rates;  // of each method of LossService
  Metrics& metrics;
  FailureLog& failures;
  // Call objects, those among them that only wait for a caller; 0 notifies.
  std::atomic<int64_t>& live_calls;
  int64_t max_request_bytes;
  std::chrono::milliseconds receive_patience;
  // Null: everybody may call everything.
  const PolicyFile* policy;
};

// Of a call itself, beside its messages.
inline constexpr int64_t kCallBytes = 64 << 10;

// A call waits for its caller, is let in or refused, waits for memory, reads,
// computes and finishes; how, its subclasses say. Cancellation and the deadline
// are looked at wherever it goes on, and between blocks of rows.
//
// A call owns itself and is gone when gRPC has returned all its tags and its
// tasks have ended: whatever will come back to it holds it.
class Call {
 public:
  // Waits for a caller of `call`, which lives by itself from then on.
  static void Await(Call* call);

  // What a poller does with each event of a queue that carries calls.
  static void HandleEvent(void* tag, bool ok);

  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 protected:
  // `environment` and `queue` outlive it.
  Call(const CallEnvironment& environment, grpc::ServerCompletionQueue* queue);
  virtual ~Call();

  // What comes back from gRPC; it points back to its call.
  struct Tag {
    Call* call;
    void (*handle)(Call& call, bool ok);
  };

  // Asks gRPC for a call of its method, with stream() on queue().
  virtual void Listen(grpc::ServerContext* context, void* tag) = 0;
  // Of its method, as in "/lossd.v1.LossService/ComputeLoss".
  virtual const char* path() const = 0;
  // One more of its kind, for the next caller.
  virtual Call* Another() const = 0;
  // Its method of LossService, by number. None for calls of other services: a
  // closed gate does not keep them out, and they are not measured.
  virtual std::optional<int> loss_method() const { return std::nullopt; }

  // A call came and was let in. A poller's thread.
  virtual void Begin() = 0;
  // The caller does not wait for the call any more. A poller's thread.
  virtual void OnGone() {}

  // Reserves `bytes` of the memory budget, or as much as one call can have, and
  // goes on with OnRoom: at once, or when there is room; where there is none in
  // time it ends the call. A poller's thread.
  void AwaitRoom(int64_t bytes);
  virtual void OnRoom() {}
  // The size of its request, where the caller has said it.
  std::optional<int64_t> AnnouncedBytes() const;
  // What the call needs, as far as its caller has said or shown; more than it
  // is likely to where nothing is known.
  int64_t ExpectedBytes() const;
  // Makes what is reserved `bytes`.
  // Errors: Unavailable: no room for more. ResourceExhausted: more than there
  //   is in all.
  absl::Status Reserve(int64_t bytes);
  int64_t reserved_bytes() const { return reserved_bytes_; }
  // What the call turned out to need.
  void LearnNeed(int64_t bytes) const;

  // Ends the call, with an answer or without one. REQUIRES: not ended yet; no
  // other operation is started afterwards.
  void Finish(const absl::Status& status);
  void FinishWith(const grpc::ByteBuffer& response);

  // Makes gRPC give up what is under way; the caller sees CANCELLED.
  void Cancel() { context_.TryCancel(); }

  // To be switched from phase to phase until the call is ended.
  PhaseTimes& phases() { return phases_; }

  // Ok while the caller still wants the answer.
  absl::Status CheckStop() const;
  // Errors: DeadlineExceeded: there is less time left than it takes to compute
  //   `bytes` of a request of this method, at the best rate so far.
  absl::Status CheckFeasible(int64_t bytes) const;
  // The best rate of its method.
  BestRate& rate() const { return environment_.rates[*loss_method()]; }

  // Takes one more hold on the call, for a tag or a task to come; gives one up.
  void Hold() { holds_.fetch_add(1, std::memory_order_relaxed); }
  void Release();
  // Orders what this thread did to the call before what the next one does.
  void HandOver() { hand_overs_.fetch_add(1, std::memory_order_acq_rel); }

  const CallEnvironment& environment() const { return environment_; }
  grpc::ServerCompletionQueue* queue() const { return queue_; }
  LossService::Stream& stream() { return stream_; }

 private:
  using Clock = std::chrono::steady_clock;

  void OnAccepted(bool ok);
  // Whether the policy lets this caller in.
  bool IsAllowed() const;
  void OnWaited();
  void OnDone();
  void OnFinished();
  // Before the caller hears of the call's end: who looks then finds it counted.
  void CountEnd(absl::StatusCode code, const std::string& reason);
  // Logs a failure of the server's; the caller is told its request id.
  void LogFailure(int method, absl::StatusCode code, const std::string& reason);

  const CallEnvironment& environment_;
  grpc::ServerCompletionQueue* const queue_;
  grpc::ServerContext context_;
  LossService::Stream stream_;
  Clock::time_point deadline_ = Clock::time_point::max();
  bool inside_ = false;  // passed the gate
  std::atomic<bool> cancelled_{false};
  PhaseTimes phases_;
  int64_t reserved_bytes_ = 0;
  Admission::Waiter waiter_;
  // Comes back when the wait for room has ended, one way or the other.
  std::optional<grpc::Alarm> room_alarm_;
  std::atomic<bool> is_waiting_{false};
  std::atomic<int> holds_{0};
  // gRPC orders its events by itself, but in code that ThreadSanitizer, which
  // checks the rest of the call, does not see.
  std::atomic<uint32_t> hand_overs_{0};

  Tag accepted_tag_{this, [](Call& call, bool ok) { call.OnAccepted(ok); }};
  Tag waited_tag_{this, [](Call& call, bool) { call.OnWaited(); }};
  Tag finished_tag_{this, [](Call& call, bool) { call.OnFinished(); }};
  Tag done_tag_{this, [](Call& call, bool) { call.OnDone(); }};
};

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_CALL_H_
