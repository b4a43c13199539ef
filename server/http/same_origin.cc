#include "server/http/same_origin.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "server/rpc/errors.h"

namespace lossd::http {
namespace {

// Without port and brackets, in lower case.
std::string NameOf(std::string_view host) {
  std::string_view name = host;
  if (name.starts_with('[')) {
    name = name.substr(1, name.find(']') - 1);
  } else {
    name = name.substr(0, name.find(':'));
  }
  return absl::AsciiStrToLower({name.data(), name.size()});
}

bool IsLocalName(std::string_view host) {
  const std::string name = NameOf(host);
  in6_addr address;
  return name == "localhost" || name.ends_with(".localhost") ||
         inet_pton(AF_INET, name.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, name.c_str(), &address) == 1;
}

bool IsOriginOf(std::string_view origin, std::string_view host) {
  const size_t scheme = origin.find("://");
  if (scheme == origin.npos) return false;  // "null"
  const std::string_view rest = origin.substr(scheme + 3);
  return absl::EqualsIgnoreCase({rest.data(), rest.size()},
                                {host.data(), host.size()});
}

absl::Status Refuse(std::string_view header, std::string_view value,
                    std::string_view want) {
  return rpc::Refused(absl::StatusCode::kPermissionDenied, "CROSS_ORIGIN",
                      fmt::format("{}: {}, want {}", header, value, want),
                      {{"header", std::string(header)},
                       {"value", std::string(value)},
                       {"want", std::string(want)}});
}

}  // namespace

absl::Status CheckSameOrigin(std::string_view host, std::string_view origin,
                             bool only_local) {
  if (only_local && !host.empty() && !IsLocalName(host)) {
    return Refuse("Host", host, "an IP address or localhost");
  }
  if (!origin.empty() && !IsOriginOf(origin, host)) {
    return Refuse("Origin", origin, "none, or that of lossd's own pages");
  }
  return absl::OkStatus();
}

}  // namespace lossd::http
