#ifndef LOSSD_SERVER_COMPUTE_ERROR_H_
#define LOSSD_SERVER_COMPUTE_ERROR_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace lossd::compute {

// What a program needs to know of an error, beside its code and its message for
// people. The RPC layer turns it into google.rpc.ErrorInfo and BadRequest.
struct ErrorDetails {
  std::string reason;  // UPPER_SNAKE_CASE, one per kind of error
  std::string field;   // path from the request's root; empty: no field's fault
  std::vector<std::pair<std::string, std::string>> metadata;  // message's parts
};

// Returns a status of `code` that carries `details` as payloads.
// REQUIRES: code is not kOk.
absl::Status MakeError(absl::StatusCode code, std::string_view message,
                       const ErrorDetails& details);

// Returns the details that MakeError put into `status`; empty members where
// there are none. Metadata comes back sorted by key.
ErrorDetails DetailsOf(const absl::Status& status);

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_ERROR_H_
