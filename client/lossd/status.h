#ifndef LOSSD_CLIENT_LOSSD_STATUS_H_
#define LOSSD_CLIENT_LOSSD_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace lossd {

// Returns `status` with its code and message; each of its google.rpc details
// becomes a payload under its type URL.
absl::Status StatusFromGrpc(const grpc::Status& status);

}  // namespace lossd

#endif  // LOSSD_CLIENT_LOSSD_STATUS_H_
