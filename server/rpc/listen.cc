#include "server/rpc/listen.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cctype>
#include <charconv>
#include <cstring>

#include "server/compute/error.h"
#include "server/rpc/errors.h"

namespace lossd::rpc {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::string_view kInUse = "Address already in use";

absl::Status BadAddress(std::string_view address, std::string_view want) {
  return OutOfRange("listen", address, want);
}

bool IsPort(std::string_view text) {
  int port = -1;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() &&
         port >= 0 && port <= 65535;
}

// gRPC's errors are trees in text; the system's reason is the first of these.
std::string ReasonOf(const std::string& grpc_log) {
  for (const std::string_view key : {"os_error:\"", "\"os_error\":\""}) {
    const size_t start = grpc_log.find(key);
    if (start == std::string::npos) continue;
    const size_t first = start + key.size();
    std::string reason =
        grpc_log.substr(first, grpc_log.find('"', first) - first);
    if (!reason.empty()) reason[0] = std::tolower(reason[0]);
    return reason;
  }
  return "no such address";
}

}  // namespace

bool IsUnix(std::string_view address) {
  return address.substr(0, kUnixPrefix.size()) == kUnixPrefix;
}

absl::Status CheckListenAddress(std::string_view address) {
  if (IsUnix(address)) {
    const size_t length = address.size() - kUnixPrefix.size();
    if (length >= 1 && length < sizeof(sockaddr_un::sun_path)) {
      return absl::OkStatus();
    }
    return BadAddress(address, fmt::format("unix:PATH, PATH of 1 to {} bytes",
                                           sizeof(sockaddr_un::sun_path) - 1));
  }
  constexpr std::string_view kWant =
      "HOST:PORT, PORT in [0, 65535], or unix:PATH";
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0 ||
      !IsPort(address.substr(colon + 1))) {
    return BadAddress(address, kWant);
  }
  const std::string_view host = address.substr(0, colon);
  const bool bracketed = host.front() == '[' && host.back() == ']';
  if (!bracketed && host.find(':') != std::string_view::npos) {
    return BadAddress(address, kWant);
  }
  return absl::OkStatus();
}

bool IsLocalAddress(std::string_view address) {
  if (IsUnix(address)) return true;
  std::string host(address.substr(0, address.rfind(':')));
  if (host == "localhost") return true;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  in_addr v4 = {};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) {
    return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
  }
  in6_addr v6 = {};
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 &&
         IN6_IS_ADDR_LOOPBACK(&v6);
}

absl::Status CheckNobodyListens(const std::string& address) {
  if (!IsUnix(address)) return absl::OkStatus();
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  std::strncpy(name.sun_path, address.c_str() + kUnixPrefix.size(),
               sizeof(name.sun_path) - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return absl::OkStatus();
  const bool answered =
      connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0;
  close(fd);
  if (answered) return ListenError(address, "address already in use");
  return absl::OkStatus();
}

absl::Status ListenError(const std::string& address, std::string_view reason) {
  return compute::MakeError(
      absl::StatusCode::kFailedPrecondition,
      fmt::format("cannot listen on {}: {}", address, reason),
      {"CANNOT_LISTEN",
       "",
       {{"address", address}, {"reason", std::string(reason)}}});
}

std::string BoundAddress(const std::string& address, int port) {
  if (IsUnix(address)) return address;
  return fmt::format("{}:{}", address.substr(0, address.rfind(':')), port);
}

absl::Status CannotListen(const std::string& address,
                          const std::string& grpc_log) {
  if (SaysAddressInUse(grpc_log)) {
    return ListenError(address, "address already in use");
  }
  return ListenError(address, ReasonOf(grpc_log));
}

bool SaysAddressInUse(const std::string& grpc_log) {
  return grpc_log.find(kInUse) != std::string::npos;
}

}  // namespace lossd::rpc
