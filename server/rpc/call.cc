#include "server/rpc/call.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "server/rpc/errors.h"
#include "server/rpc/in_process.h"
#include "server/rpc/options.h"
#include "server/rpc/status.h"

namespace lossd::rpc {
namespace {

// How long a call waits for memory before its caller is told to come again:
// longer than most calls take.
constexpr std::chrono::milliseconds kPatience(250);

// What a caller may say of its request, in bytes: lossd's own client does.
constexpr char kRequestBytesKey[] = "lossd-request-bytes";

// The part of the budget that is reserved for a caller of whom nothing is
// known: a quarter.
constexpr int64_t kStrangersShare = 4;

// What a caller may call its call, and where it stands in a trace.
constexpr char kRequestIdKey[] = "x-request-id";
constexpr char kTraceparentKey[] = "traceparent";

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

std::string ToString(const grpc::string_ref& text) {
  return {text.data(), text.size()};
}

CallFacts FactsOf(const grpc::ServerContext& context, const char* path) {
  CallFacts facts{.path = path, .principals = {}, .headers = {}};
  const auto auth = context.auth_context();
  for (const char* kind :
       {GRPC_PEER_URI_PROPERTY_NAME, GRPC_PEER_DNS_PROPERTY_NAME,
        GRPC_X509_SUBJECT_PROPERTY_NAME}) {
    for (const grpc::string_ref& name : auth->FindPropertyValues(kind)) {
      facts.principals.push_back(ToString(name));
    }
  }
  for (const auto& [name, value] : context.client_metadata()) {
    std::string& values = facts.headers[ToString(name)];
    if (!values.empty()) values += ',';
    values += ToString(value);
  }
  return facts;
}

}  // namespace

Call::Call(const CallEnvironment& environment,
           grpc::ServerCompletionQueue* queue)
    : environment_(environment), queue_(queue), stream_(&context_) {
  environment_.live_calls.fetch_add(1);
}

Call::~Call() {
  if (reserved_bytes_ > 0) environment_.admission.Leave(reserved_bytes_);
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
  if (!IsAllowed()) return Finish(Denied(path()));
  if (loss_method()) {
    inside_ = environment_.gate.Enter();
    if (!inside_) return Finish(Draining());
  }
  const absl::Status status = CheckStop();
  if (!status.ok()) return Finish(status);
  Begin();
}

bool Call::IsAllowed() const {
  if (environment_.policy == nullptr) return true;
  return environment_.policy->policy()->Allows(FactsOf(context_, path()));
}

void Call::AwaitRoom(int64_t bytes) {
  Admission& admission = environment_.admission;
  if (admission.budget_bytes() == 0) return OnRoom();
  waiter_.bytes = std::min(bytes, admission.largest_call_bytes());
  if (admission.TryEnter(waiter_.bytes)) {
    reserved_bytes_ = waiter_.bytes;
    return OnRoom();
  }
  // Room found, the caller gone and the time over all come back as this alarm,
  // on a poller.
  phases_.Start(Phase::kQueue);
  Hold();
  HandOver();
  room_alarm_.emplace();
  room_alarm_->Set(queue_, std::chrono::system_clock::now() + kPatience,
                   &waited_tag_);
  is_waiting_.store(true);
  waiter_.on_room = [this] { room_alarm_->Cancel(); };
  if (!admission.Wait(waiter_)) room_alarm_->Cancel();
}

void Call::OnWaited() {
  is_waiting_.store(false);
  phases_.Stop(Phase::kQueue);
  const bool has_room = !environment_.admission.GiveUp(waiter_);
  if (has_room) reserved_bytes_ = waiter_.bytes;
  absl::Status status = CheckStop();
  if (status.ok() && !has_room) {
    status = Overloaded(waiter_.bytes, environment_.admission.budget_bytes());
  }
  if (status.ok()) {
    OnRoom();
  } else {
    Finish(status);
  }
  Release();
}

std::optional<int64_t> Call::AnnouncedBytes() const {
  const auto& metadata = context_.client_metadata();
  const auto said = metadata.find(kRequestBytesKey);
  if (said == metadata.end()) return std::nullopt;
  int64_t bytes = 0;
  const absl::string_view text(said->second.data(), said->second.size());
  if (!absl::SimpleAtoi(text, &bytes) || bytes < 0 ||
      bytes > kLargestMaxRequestBytes) {
    return std::nullopt;
  }
  return bytes;
}

int64_t Call::ExpectedBytes() const {
  const int64_t budget = environment_.admission.budget_bytes();
  if (budget == 0) return 0;
  if (const std::optional<int64_t> bytes = AnnouncedBytes()) {
    return kCallBytes + 2 * *bytes;  // mostly, an answer as large
  }
  const int64_t need = environment_.needs.NeedOf(context_.peer());
  return need > 0 ? need : budget / kStrangersShare;
}

absl::Status Call::Reserve(int64_t bytes) {
  Admission& admission = environment_.admission;
  if (admission.budget_bytes() == 0) return absl::OkStatus();
  if (bytes > admission.budget_bytes()) {
    return TooLargeForBudget(bytes, admission.budget_bytes(),
                             environment_.max_request_bytes);
  }
  if (!admission.Resize(reserved_bytes_, bytes)) {
    return Overloaded(bytes - reserved_bytes_, admission.budget_bytes());
  }
  reserved_bytes_ = bytes;
  return absl::OkStatus();
}

void Call::LearnNeed(int64_t bytes) const {
  if (environment_.admission.budget_bytes() == 0) return;
  environment_.needs.Learn(context_.peer(), bytes);
}

void Call::OnDone() {
  if (context_.IsCancelled()) cancelled_.store(true);
  if (is_waiting_.load()) room_alarm_->Cancel();
  OnGone();
  Release();
}

void Call::OnFinished() {
  if (loss_method()) {
    phases_.Stop(Phase::kSend);
    environment_.metrics.Observe(phases_);
  }
  Release();
}

void Call::CountEnd(absl::StatusCode code, const std::string& reason) {
  const std::optional<int> method = loss_method();
  if (!method) return;
  environment_.metrics.CountCall(*method, code);
  if (code == absl::StatusCode::kUnavailable ||
      code == absl::StatusCode::kResourceExhausted) {
    environment_.metrics.CountRefusal(reason);
  }
  if (FailureLog::Wants(code)) LogFailure(*method, code, reason);
}

void Call::LogFailure(int method, absl::StatusCode code,
                      const std::string& reason) {
  const auto& metadata = context_.client_metadata();
  const auto value_of = [&](const char* key) {
    const auto found = metadata.find(key);
    return found == metadata.end()
               ? std::string_view()
               : std::string_view(found->second.data(), found->second.size());
  };
  std::string request_id(value_of(kRequestIdKey));
  if (!IsRequestId(request_id)) request_id = NewRequestId();
  context_.AddTrailingMetadata(kRequestIdKey, request_id);
  environment_.failures.Log({LossService::MethodName(method), code, reason,
                             request_id, value_of(kTraceparentKey)});
}

void Call::Finish(const absl::Status& status) {
  phases_.StopAll();
  const WireStatus wire = ToWireStatus(status);
  CountEnd(status.code(), wire.reason);
  for (const auto& [key, value] : wire.trailing_metadata) {
    context_.AddTrailingMetadata(key, value);
  }
  HandOver();
  stream_.Finish(wire.status, &finished_tag_);
}

void Call::FinishWith(const grpc::ByteBuffer& response) {
  phases_.Switch(Phase::kCompute, Phase::kSend);
  if (loss_method()) environment_.metrics.CountSent(response.Length());
  CountEnd(absl::StatusCode::kOk, "");
  HandOverInProcess();
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

absl::Status Call::CheckFeasible(int64_t bytes) const {
  if (deadline_ == Clock::time_point::max()) return absl::OkStatus();
  const Clock::duration left = deadline_ - Clock::now();
  const Clock::duration least = rate().LeastTime(bytes);
  if (left >= least) return absl::OkStatus();
  return DeadlineTooShort(bytes, left, least);
}

void Call::Release() {
  if (holds_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

}  // namespace lossd::rpc
