#include "tests/bench/rpc/servers.h"

#include <stdlib.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "server/rpc/options.h"

namespace lossd::bench {
namespace {

// What a request has besides logits and labels.
constexpr int64_t kOtherBytes = 1024;

std::vector<std::string> NewAddresses(
    const std::vector<std::string>& transports, SocketFolder& folder) {
  std::vector<std::string> addresses;
  for (const std::string& transport : transports) {
    addresses.push_back(folder.NewAddress(transport));
  }
  return addresses;
}

// lossd's default, or more where a payload needs it.
int64_t MaxRequestBytes(const Flags& flags) {
  int64_t bytes = rpc::Options().max_request_bytes;
  for (const Payload& payload : flags.payloads) {
    bytes = std::max<int64_t>(
        bytes,
        payload.rows * (payload.classes + 1) * sizeof(float) + kOtherBytes);
  }
  return bytes;
}

}  // namespace

SocketFolder::SocketFolder() {
  std::string pattern =
      (std::filesystem::temp_directory_path() / "bench_rpc_XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) std::abort();
  path_ = pattern;
}

SocketFolder::~SocketFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string SocketFolder::NewAddress(const std::string& transport) {
  if (transport == "tcp") return "127.0.0.1:0";
  return absl::StrCat("unix:", path_, "/", ++sockets_);
}

absl::StatusOr<std::unique_ptr<ServerProcess>> StartService(
    const Flags& flags, const std::vector<std::string>& transports,
    SocketFolder& folder) {
  std::vector<std::string> arguments = {
      flags.server, "--threads", absl::StrCat(flags.threads),
      "--max-request-bytes", absl::StrCat(MaxRequestBytes(flags))};
  for (const std::string& address : NewAddresses(transports, folder)) {
    arguments.insert(arguments.end(), {"--listen", address});
  }
  return ServerProcess::Start(arguments, static_cast<int>(transports.size()));
}

absl::StatusOr<std::unique_ptr<ServerProcess>> StartEcho(
    const std::vector<std::string>& transports, SocketFolder& folder,
    const std::optional<ChannelSetting>& setting) {
  std::vector<std::string> arguments = {kThisProgram};
  for (const std::string& address : NewAddresses(transports, folder)) {
    arguments.insert(arguments.end(), {"--serve-echo", address});
  }
  if (setting) {
    arguments.insert(arguments.end(), {"--echo-setting", ToString(*setting)});
  }
  return ServerProcess::Start(arguments, static_cast<int>(transports.size()));
}

}  // namespace lossd::bench
