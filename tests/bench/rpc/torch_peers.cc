#include "tests/bench/rpc/torch_peers.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace lossd::bench {
namespace {

std::string Script(const char* name) {
  return absl::StrCat(LOSSD_BENCH_RPC_SCRIPTS, "/", name);
}

}  // namespace

absl::StatusOr<std::unique_ptr<TorchPeers>> TorchPeers::Start(
    const std::string& python, int threads,
    const std::vector<std::string>& transports, SocketFolder& folder) {
  std::vector<std::string> arguments = {
      python, "-B", Script("torch_service.py"), absl::StrCat(threads)};
  for (const std::string& transport : transports) {
    arguments.push_back(folder.NewAddress(transport));
  }
  auto peers = std::make_unique<TorchPeers>();
  auto service =
      ServerProcess::Start(arguments, static_cast<int>(transports.size()));
  if (!service.ok()) return service.status();
  auto in_process = ServerProcess::Start(
      {python, "-B", Script("torch_in_process.py"), absl::StrCat(threads)},
      /*addresses=*/0);
  if (!in_process.ok()) return in_process.status();
  peers->service_ = *std::move(service);
  peers->in_process_ = *std::move(in_process);
  return peers;
}

absl::StatusOr<std::vector<double>> TorchPeers::StepFor(const Payload& payload,
                                                        double seconds) {
  const absl::Status sent = in_process_->Send(
      absl::StrCat(payload.rows, " ", payload.classes, " ", seconds, "\n"));
  if (!sent.ok()) return sent;
  const auto line = in_process_->ReadLine();
  if (!line.ok()) return line.status();
  std::vector<double> times_ms;
  for (const absl::string_view word : absl::StrSplit(*line, ' ')) {
    double ms = 0.0;
    if (!absl::SimpleAtod(word, &ms)) {
      return absl::UnavailableError(
          absl::StrCat("PyTorch's program says ", *line));
    }
    times_ms.push_back(ms);
  }
  return times_ms;
}

}  // namespace lossd::bench
