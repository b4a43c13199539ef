#include "tests/bench/rpc/measure.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/lossctl/quantiles.h"
#include "client/lossd/channel.h"
#include "tests/bench/rpc/answers.h"
#include "tests/bench/support/bidi_echo.h"
#include "tests/bench/support/raw_caller.h"

namespace lossd::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr int kSlices = 4;
constexpr int kLeastRounds = 2;  // of a slice
constexpr int kWarmUpRounds = 3;
constexpr double kWarmUpSeconds = 0.3;

double SecondsSince(Clock::time_point begin) {
  return Seconds(Clock::now() - begin).count();
}

// One server, the request that it gets, and its times.
class Subject {
 public:
  Subject(std::string name, const std::string& address, const char* path,
          const std::string& request)
      : name_(std::move(name)),
        caller_(MakeChannel({.target = address}), path),
        request_(ToMessage(request)) {}

  // The first call; the length of its answer is the one that all must have.
  absl::StatusOr<std::string> Look() {
    const RawAnswer answer = caller_.Call(request_);
    const absl::Status status = Check(answer);
    if (!status.ok()) return status;
    want_length_ = answer.response.Length();
    return ToString(answer.response);
  }

  absl::Status Call() {
    const Clock::time_point begin = Clock::now();
    const RawAnswer answer = caller_.Call(request_);
    last_ms_ = SecondsSince(begin) * 1e3;
    absl::Status status = Check(answer);
    if (status.ok() && answer.response.Length() != want_length_) {
      status = absl::InternalError(absl::StrCat(name_, " answers ",
                                                answer.response.Length(),
                                                " bytes, want ", want_length_));
    }
    return status;
  }

  // Keeps the last call's time.
  void Keep() { times_ms_.push_back(last_ms_); }

  size_t bytes() const { return request_.Length() + want_length_; }
  Latency latency() const { return Summarize(times_ms_); }

 private:
  absl::Status Check(const RawAnswer& answer) const {
    const grpc::Status& status = answer.status;
    if (status.ok()) return absl::OkStatus();
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                        absl::StrCat(name_, ": ", status.error_message()));
  }

  const std::string name_;
  RawCaller caller_;
  const grpc::ByteBuffer request_;
  size_t want_length_ = 0;
  double last_ms_ = 0;
  std::vector<double> times_ms_;
};

// Calls `subjects` in turn, the times kept or not, for `seconds` and so many
// rounds at least.
absl::Status Alternate(const std::vector<Subject*>& subjects, double seconds,
                       int least_rounds, bool keep) {
  const Clock::time_point begin = Clock::now();
  for (int round = 0; round < least_rounds || SecondsSince(begin) < seconds;
       ++round) {
    for (Subject* const subject : subjects) {
      const absl::Status status = subject->Call();
      if (!status.ok()) return status;
      if (keep) subject->Keep();
    }
  }
  return absl::OkStatus();
}

// What runs between two slices leaves caches and free memory as it likes: the
// first round after it is not counted.
absl::Status Slice(const std::vector<Subject*>& subjects, double seconds) {
  const absl::Status status = Alternate(subjects, 0.0, 1, /*keep=*/false);
  if (!status.ok()) return status;
  return Alternate(subjects, seconds / kSlices, kLeastRounds, /*keep=*/true);
}

// The Python side of a payload.
struct TorchRun {
  TorchRun(TorchPeers* peers, const std::string& address,
           const std::string& request)
      : peers(peers),
        service("the Python service", address, kTorchPath, request) {}

  TorchPeers* const peers;
  Subject service;
  std::vector<double> step_times_ms;
};

absl::Status TorchSlice(const Payload& payload, double seconds, TorchRun& run) {
  const absl::Status status = Slice({&run.service}, seconds);
  if (!status.ok()) return status;
  const auto times_ms = run.peers->StepFor(payload, seconds / kSlices);
  if (!times_ms.ok()) return times_ms.status();
  run.step_times_ms.insert(run.step_times_ms.end(), times_ms->begin(),
                           times_ms->end());
  return absl::OkStatus();
}

absl::Status LookAtAnswers(const Payload& payload, Subject& service,
                           Subject& echo, TorchRun* torch) {
  const auto answer = service.Look();
  if (!answer.ok()) return answer.status();
  const auto loss = LossOfServiceAnswer(payload, *answer);
  if (!loss.ok()) return loss.status();
  const auto echoed = echo.Look();
  if (!echoed.ok()) return echoed.status();
  if (torch == nullptr) return absl::OkStatus();
  const auto torch_answer = torch->service.Look();
  if (!torch_answer.ok()) return torch_answer.status();
  const auto torch_loss = LossOfTorchAnswer(payload, *torch_answer);
  if (!torch_loss.ok()) return torch_loss.status();
  return CheckSameLoss(*loss, *torch_loss);
}

}  // namespace

Latency Summarize(std::vector<double> times_ms) {
  std::sort(times_ms.begin(), times_ms.end());
  return {times_ms.size(), lossctl::Quantile(times_ms, 0.5),
          lossctl::Quantile(times_ms, 0.9), lossctl::Quantile(times_ms, 0.99)};
}

absl::StatusOr<Result> Measure(const std::string& transport,
                               const Payload& payload,
                               const Addresses& addresses, double seconds,
                               TorchPeers* torch) {
  const v1::ComputeLossRequest drawn = DrawRequest(payload);
  const std::string request = drawn.SerializeAsString();
  Subject service("lossd", addresses.service, kEchoPath, request);
  Subject echo("the echo", addresses.echo, kEchoPath, request);
  std::optional<TorchRun> python;
  if (torch != nullptr) {
    python.emplace(torch, addresses.python_service, TorchRequest(drawn));
  }
  absl::Status status =
      LookAtAnswers(payload, service, echo, python ? &*python : nullptr);
  if (status.ok()) {
    status = Alternate({&service, &echo}, kWarmUpSeconds, kWarmUpRounds,
                       /*keep=*/false);
  }
  for (int slice = 0; slice < kSlices && status.ok(); ++slice) {
    status = Slice({&service, &echo}, seconds);
    if (status.ok() && python) {
      status = TorchSlice(payload, seconds / 2, *python);
    }
  }
  if (!status.ok()) return status;
  Result result = {.transport = transport,
                   .payload = payload,
                   .service_bytes = service.bytes(),
                   .echo_bytes = echo.bytes(),
                   .service = service.latency(),
                   .echo = echo.latency(),
                   .pytorch = std::nullopt,
                   .python_service = std::nullopt};
  if (python) {
    result.pytorch = Summarize(python->step_times_ms);
    result.python_service = python->service.latency();
  }
  return result;
}

}  // namespace lossd::bench
