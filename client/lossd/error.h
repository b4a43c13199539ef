#ifndef LOSSD_CLIENT_LOSSD_ERROR_H_
#define LOSSD_CLIENT_LOSSD_ERROR_H_

#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace lossd {

// The machine-readable part of an error, beside its code and its message.
struct ErrorDetails {
  std::string reason;  // UPPER_SNAKE_CASE, one per kind of error
  std::string domain;  // "lossd" for this service's own errors
  std::string field;   // the request's field at fault, a path; empty: none
  std::map<std::string, std::string> metadata;  // the message's variable parts
  std::optional<absl::Duration> retry_delay;    // what the server asked to wait
};

// Returns what the server attached to `status`: google.rpc.ErrorInfo, the first
// violation of google.rpc.BadRequest, google.rpc.RetryInfo. Members stay empty
// where it attached nothing, as on errors of the network or of this library.
// The raw messages are `status`'s payloads, under their type URLs.
ErrorDetails DetailsOf(const absl::Status& status);

}  // namespace lossd

#endif  // LOSSD_CLIENT_LOSSD_ERROR_H_
