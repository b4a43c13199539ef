// The address to serve HTTP on.
#ifndef LOSSD_SERVER_HTTP_ADDRESS_H_
#define LOSSD_SERVER_HTTP_ADDRESS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lossd::http {

struct Address {
  std::string host;  // an IPv6 address without its brackets
  int port = 0;      // 0: any free one
};

// Reads HOST:PORT.
//
// Errors: InvalidArgument: anything else; a port outside [0, 65535].
absl::StatusOr<Address> ParseAddress(std::string_view text);

// Errors: InvalidArgument: an address that other machines reach, without
//   `allow_insecure`: what goes over HTTP is plain text.
absl::Status CheckExposure(std::string_view text, bool allow_insecure);

}  // namespace lossd::http

#endif  // LOSSD_SERVER_HTTP_ADDRESS_H_
