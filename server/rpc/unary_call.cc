#include "server/rpc/unary_call.h"

#include <chrono>

#include "absl/status/statusor.h"
#include "server/rpc/errors.h"
#include "server/rpc/in_process.h"

namespace lossd::rpc {
namespace {

// A message so small is computed by the poller that has read it: to wake
// another thread takes as long as 128x1000 does with the pool's help, 0.1 ms.
// The slowest loss keeps the poller from its other calls for some 5 ms.
constexpr size_t kSmallBytes = 640 << 10;

}  // namespace

void UnaryCall::Listen(grpc::ServerContext* context, void* tag) {
  environment().service.RequestCall(method_, context, &stream(), queue(), tag);
}

Call* UnaryCall::Another() const {
  return new UnaryCall(environment(), method_, queue());
}

void UnaryCall::Begin() {
  const absl::Status status = CheckFeasible(AnnouncedBytes().value_or(0));
  if (!status.ok()) return Finish(status);
  AwaitRoom(ExpectedBytes());
}

void UnaryCall::OnRoom() {
  if (reserved_bytes() > Admission::kSmallBytes) WatchReceiving();
  is_reading_ = true;
  phases().Start(Phase::kReceive);
  HandOver();
  stream().Read(&request_, &read_tag_);
}

void UnaryCall::WatchReceiving() {
  Hold();
  late_alarm_.emplace();
  late_alarm_->Set(
      queue(),
      std::chrono::system_clock::now() + environment().receive_patience,
      &late_tag_);
}

void UnaryCall::OnLate(bool is_late) {
  if (is_late && is_reading_) {
    if (environment().admission.waiting() == 0) {
      WatchReceiving();
    } else {
      is_refused_ = true;
      Hold();  // what is read comes back after the end
      Finish(SentTooSlowly(environment().receive_patience));
    }
  }
  Release();
}

void UnaryCall::OnRead(bool ok) {
  TakeOverInProcess();
  is_reading_ = false;
  if (late_alarm_) late_alarm_->Cancel();
  if (is_refused_) {
    request_.Clear();
    return Release();
  }
  const absl::Status status = CheckStop();
  if (!status.ok()) return Finish(status);
  if (!ok) return Finish(NoRequestMessage());
  const size_t bytes = request_.Length();
  environment().metrics.CountReceived(bytes);
  if (bytes > static_cast<size_t>(environment().max_request_bytes)) {
    request_.Clear();
    return Finish(RequestTooLarge(bytes, environment().max_request_bytes));
  }
  const absl::Status feasible = CheckFeasible(static_cast<int64_t>(bytes));
  if (!feasible.ok()) {
    request_.Clear();
    return Finish(feasible);
  }
  // The answer's part stays reserved until it is known.
  const int64_t request_bytes = kCallBytes + static_cast<int64_t>(bytes);
  if (request_bytes > reserved_bytes()) {
    const absl::Status fits = Reserve(request_bytes);
    if (!fits.ok()) {
      request_.Clear();
      LearnNeed(2 * request_bytes);
      return Finish(fits);
    }
  }
  Hold();
  if (bytes <= kSmallBytes) {
    phases().Switch(Phase::kReceive, Phase::kCompute);
    return Compute();
  }
  phases().Switch(Phase::kReceive, Phase::kQueue);
  environment().pool.Submit([this] {
    phases().Switch(Phase::kQueue, Phase::kCompute);
    Compute();
  });
}

void UnaryCall::Compute() {
  absl::Status status = CheckStop();
  if (status.ok()) {
    const auto stop_check = [this] { return CheckStop(); };
    const auto message_bytes = static_cast<int64_t>(request_.Length());
    const int64_t request_bytes = kCallBytes + message_bytes;
    const auto begin = std::chrono::steady_clock::now();
    const auto reserve = [&](int64_t response_bytes) {
      LearnNeed(request_bytes + response_bytes);
      return Reserve(request_bytes + response_bytes);
    };
    const absl::StatusOr<grpc::ByteBuffer> response =
        environment().service.Run(method_, request_, stop_check, reserve);
    if (response.ok()) {
      rate().Observe(message_bytes, std::chrono::steady_clock::now() - begin);
      FinishWith(*response);
    } else {
      status = response.status();
    }
  }
  if (!status.ok()) Finish(status);
  Release();
}

}  // namespace lossd::rpc
