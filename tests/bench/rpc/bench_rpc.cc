// What lossd's calls cost beside an echo of the same bytes, and beside PyTorch:
// docs/performance.md, "Over the wire".
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "server/rpc/cpu_limit.h"
#include "tests/bench/rpc/echo_server.h"
#include "tests/bench/rpc/flags.h"
#include "tests/bench/rpc/gaps.h"
#include "tests/bench/rpc/measure.h"
#include "tests/bench/rpc/report.h"
#include "tests/bench/rpc/servers.h"
#include "tests/bench/rpc/settings.h"
#include "tests/bench/rpc/stream.h"
#include "tests/bench/rpc/torch_peers.h"

namespace {

using namespace lossd::bench;  // NOLINT: main's own room

// Prints results as they come, or all of them as one JSON array.
class Printer {
 public:
  Printer(bool json, const std::string& table_head) : json_(json) {
    if (!json_) Print(table_head);
  }

  template <typename AnyResult>
  void Add(const AnyResult& result) {
    if (json_) {
      results_.push_back(ToJson(result));
    } else {
      Print(TableRow(result));
    }
  }

  void Finish() {
    if (json_) Print(results_.dump(2) + "\n");
  }

 private:
  static void Print(const std::string& text) {
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
  }

  const bool json_;
  nlohmann::ordered_json results_ = nlohmann::ordered_json::array();
};

std::unique_ptr<TorchPeers> StartTorch(const Flags& flags,
                                       SocketFolder& folder) {
  if (flags.python.empty()) return nullptr;
  auto torch =
      TorchPeers::Start(flags.python, flags.threads, flags.transports, folder);
  if (torch.ok()) return *std::move(torch);
  std::fprintf(stderr, "bench_rpc: without PyTorch: %s\n",
               std::string(torch.status().message()).c_str());
  return nullptr;
}

absl::Status ComparePayloads(const Flags& flags) {
  SocketFolder folder;
  const auto service = StartService(flags, flags.transports, folder);
  if (!service.ok()) return service.status();
  const auto echo = StartEcho(flags.transports, folder);
  if (!echo.ok()) return echo.status();
  const std::unique_ptr<TorchPeers> torch = StartTorch(flags, folder);
  Printer printer(flags.json, PayloadTableHead());
  for (size_t t = 0; t < flags.transports.size(); ++t) {
    const Addresses addresses = {(*service)->addresses()[t],
                                 (*echo)->addresses()[t],
                                 torch == nullptr ? "" : torch->addresses()[t]};
    for (const Payload& payload : flags.payloads) {
      const auto result = Measure(flags.transports[t], payload, addresses,
                                  flags.seconds, torch.get());
      if (!result.ok()) return result.status();
      printer.Add(*result);
    }
  }
  printer.Finish();
  return absl::OkStatus();
}

absl::Status CompareSettings(const Flags& flags) {
  Printer printer(flags.json, SettingTableHead());
  for (const std::string& transport : flags.transports) {
    for (const Payload& payload : flags.payloads) {
      const auto results = MeasureSettings(flags, transport, payload);
      if (!results.ok()) return results.status();
      for (const SettingResult& result : *results) printer.Add(result);
    }
  }
  printer.Finish();
  return absl::OkStatus();
}

absl::Status CompareStream(const Flags& flags) {
  Printer printer(flags.json, StreamTableHead());
  for (const std::string& transport : flags.transports) {
    const auto result = MeasureStream(flags, transport);
    if (!result.ok()) return result.status();
    printer.Add(*result);
  }
  printer.Finish();
  return absl::OkStatus();
}

absl::Status CompareGaps(const Flags& flags) {
  Printer printer(flags.json, GapTableHead());
  for (const std::string& transport : flags.transports) {
    const auto results = MeasureGaps(flags, transport);
    if (!results.ok()) return results.status();
    for (const GapResult& result : *results) printer.Add(result);
  }
  printer.Finish();
  return absl::OkStatus();
}

absl::Status Compare(const Flags& flags) {
  if (flags.idle_gaps) return CompareGaps(flags);
  if (flags.settings) return CompareSettings(flags);
  if (flags.stream_mib > 0) return CompareStream(flags);
  return ComparePayloads(flags);
}

}  // namespace

int main(int argc, char** argv) {
  auto [flags, exit_code] = ParseFlags(argc, argv);
  if (exit_code) return *exit_code;
  if (!flags.serve_echo.empty()) {
    return ServeEcho(flags.serve_echo, flags.echo_setting);
  }
  if (flags.threads == 0) flags.threads = lossd::rpc::UsableCpus();
  const absl::Status status = Compare(flags);
  if (status.ok()) return 0;
  std::fprintf(stderr, "bench_rpc: %s\n",
               std::string(status.message()).c_str());
  return 1;
}
