#include "tests/bench/rpc/measure.h"

#include "absl/status/status.h"
#include "client/lossd/channel.h"
#include "tests/bench/rpc/answers.h"
#include "tests/bench/support/bidi_echo.h"

namespace lossd::bench {
namespace {

constexpr int kSlices = 4;

// The Python side of a payload.
struct TorchRun {
  TorchRun(TorchPeers* peers, const std::string& address,
           const std::string& request)
      : peers(peers),
        service("the Python service", MakeChannel({.target = address}),
                kTorchPath, request) {}

  TorchPeers* const peers;
  Subject service;
  std::vector<double> step_times_ms;
};

absl::Status TorchSlice(const Payload& payload, double seconds, TorchRun& run) {
  const absl::Status status = Slice({&run.service}, seconds / kSlices);
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

absl::StatusOr<Result> Measure(const std::string& transport,
                               const Payload& payload,
                               const Addresses& addresses, double seconds,
                               TorchPeers* torch) {
  const v1::ComputeLossRequest drawn = DrawRequest(payload);
  const std::string request = drawn.SerializeAsString();
  Subject service("lossd", MakeChannel({.target = addresses.service}),
                  kEchoPath, request);
  Subject echo("the echo", MakeChannel({.target = addresses.echo}), kEchoPath,
               request);
  std::optional<TorchRun> python;
  if (torch != nullptr) {
    python.emplace(torch, addresses.python_service, TorchRequest(drawn));
  }
  absl::Status status =
      LookAtAnswers(payload, service, echo, python ? &*python : nullptr);
  if (status.ok()) status = WarmUp({&service, &echo});
  for (int slice = 0; slice < kSlices && status.ok(); ++slice) {
    status = Slice({&service, &echo}, seconds / kSlices);
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
