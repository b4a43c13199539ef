#include "server/http/address.h"

#include <charconv>

#include "server/rpc/errors.h"
#include "server/rpc/listen.h"

namespace lossd::http {
namespace {

constexpr std::string_view kField = "http_listen";

}  // namespace

absl::StatusOr<Address> ParseAddress(std::string_view text) {
  if (!rpc::CheckListenAddress(text).ok() || text.starts_with("unix:")) {
    return rpc::OutOfRange(kField, text, "HOST:PORT, PORT in [0, 65535]");
  }
  const size_t colon = text.rfind(':');
  Address address;
  address.host = text.substr(0, colon);
  if (address.host.front() == '[') {
    address.host = address.host.substr(1, address.host.size() - 2);
  }
  std::from_chars(text.data() + colon + 1, text.data() + text.size(),
                  address.port);
  return address;
}

absl::Status CheckExposure(std::string_view text, bool allow_insecure) {
  if (allow_insecure || rpc::IsLocalAddress(text)) return absl::OkStatus();
  return rpc::OutOfRange(kField, text,
                         "HOST of the loopback (127.0.0.0/8, [::1] or "
                         "localhost), since HTTP is plain text, or "
                         "--allow-insecure");
}

}  // namespace lossd::http
