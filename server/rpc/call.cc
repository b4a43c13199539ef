#include "server/rpc/call.h"

#include "server/rpc/errors.h"
#include "server/rpc/status.h"

namespace lossd::rpc {
namespace {

// The deadline comes on the wall clock; taken over at once, a later jump of
// that clock does not move it.
std::chrono::steady_clock::time_point SteadyDeadline(
    const grpc::ServerContext& context) {
  using Steady = std::chrono::steady_clock;
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) {
    return Steady::time_point::max();
  }
  const auto left = deadline - std::chrono::system_clock::now();
  const auto now = Steady::now();
  if (left >= Steady::time_point::max() - now) return Steady::time_point::max();
  return now + left;
}

}  // namespace

Call::Call(const CallEnvironment& environment,
           grpc::ServerCompletionQueue* queue)
    : environment_(environment), queue_(queue), stream_(&context_) {
  environment_.live_calls.fetch_add(1);
}

Call::~Call() {
  if (inside_) environment_.gate.Leave();
  std::atomic<int64_t>& live_calls = environment_.live_calls;
  if (live_calls.fetch_sub(1) == 1) live_calls.notify_all();
}

void Call::Await(Call* call) {
  call->context_.AsyncNotifyWhenDone(&call->done_tag_);
  call->HandOver();
  call->Listen(&call->context_, &call->accepted_tag_);
}

void Call::HandleEvent(void* tag, bool ok) {
  const Tag& event = *static_cast<Tag*>(tag);
  event.call->HandOver();
  event.handle(*event.call, ok);
}

void Call::OnAccepted(bool ok) {
  if (!ok) {
    // The server is shut down: no call came, so no other tag will.
    delete this;
    return;
  }
  Await(Another());
  holds_ = 2;  // one for the finished tag, one for the done tag
  deadline_ = SteadyDeadline(context_);
  if (passes_gate()) {
    inside_ = environment_.gate.Enter();
    if (!inside_) return Finish(Draining());
  }
  const absl::Status status = CheckStop();
  if (!status.ok()) return Finish(status);
  Begin();
}

void Call::OnDone() {
  if (context_.IsCancelled()) cancelled_.store(true);
  OnGone();
  Release();
}

void Call::Finish(const absl::Status& status) {
  const WireStatus wire = ToWireStatus(status);
  for (const auto& [key, value] : wire.trailing_metadata) {
    context_.AddTrailingMetadata(key, value);
  }
  HandOver();
  stream_.Finish(wire.status, &finished_tag_);
}

void Call::FinishWith(const grpc::ByteBuffer& response) {
  HandOver();
  stream_.WriteAndFinish(response, grpc::WriteOptions(), grpc::Status::OK,
                         &finished_tag_);
}

absl::Status Call::CheckStop() const {
  // gRPC cancels a call whose deadline has passed: that is looked at first.
  if (Clock::now() >= deadline_) return DeadlinePassed();
  if (cancelled_.load()) return CallerCancelled();
  return absl::OkStatus();
}

void Call::Release() {
  if (holds_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

}  // namespace lossd::rpc
