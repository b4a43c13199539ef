// Deadlines, as callers write them.
#ifndef LOSSD_SERVER_HTTP_TIMEOUT_H_
#define LOSSD_SERVER_HTTP_TIMEOUT_H_

#include <chrono>
#include <string_view>

#include "absl/status/statusor.h"

namespace lossd::http {

// Reads the value of Grpc-Timeout, as gRPC over HTTP/2 defines it: 1 to 8
// digits and H, M, S, m, u or n. Empty: as long as there is.
//
// Errors: InvalidArgument: anything else.
absl::StatusOr<std::chrono::nanoseconds> ParseTimeout(std::string_view text);

}  // namespace lossd::http

#endif  // LOSSD_SERVER_HTTP_TIMEOUT_H_
