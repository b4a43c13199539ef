// lossctl info: what the server is and takes.
#include <fmt/core.h>

#include "absl/strings/str_join.h"
#include "client/lossctl/command.h"

namespace lossd::lossctl {
namespace {

void PrintText(const ServerInfo& info) {
  fmt::print("version          {}\n", info.version);
  fmt::print("kernel           {}\n", info.kernel);
  fmt::print("compute threads  {}\n", info.compute_threads);
  fmt::print("max request      {} bytes\n", info.max_request_bytes);
  if (info.memory_budget_bytes == 0) {
    fmt::print("memory budget    not bounded\n");
  } else {
    fmt::print("memory budget    {} bytes\n", info.memory_budget_bytes);
  }
  fmt::print("losses           {}\n", absl::StrJoin(info.losses, " "));
  fmt::print("data types       {}\n", absl::StrJoin(info.data_types, " "));
}

int RunInfo(const CommonFlags& common) {
  const CallOptions call = CallOptionsFrom(common);
  const auto client = ConnectClient(common);
  if (!client.ok()) return BadUsage(client.status());
  const auto info = client->GetServerInfo(call);
  if (!info.ok()) return Fail(common, info.status());
  if (!common.json) {
    PrintText(*info);
    return kDone;
  }
  PrintJson({{"version", info->version},
             {"kernel", info->kernel},
             {"compute_threads", info->compute_threads},
             {"max_request_bytes", info->max_request_bytes},
             {"memory_budget_bytes", info->memory_budget_bytes},
             {"losses", info->losses},
             {"data_types", info->data_types}});
  return kDone;
}

}  // namespace

void AddInfo(CLI::App& app, const CommonFlags& common, Command* chosen) {
  CLI::App* info =
      app.add_subcommand("info", "Show what the server is and takes");
  info->callback(
      [&common, chosen] { *chosen = [&common] { return RunInfo(common); }; });
}

}  // namespace lossd::lossctl
