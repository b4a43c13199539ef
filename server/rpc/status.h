// The one place where an error of this server becomes a gRPC status.
#ifndef LOSSD_SERVER_RPC_STATUS_H_
#define LOSSD_SERVER_RPC_STATUS_H_

#include <grpcpp/support/status.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace lossd::rpc {

// A status as it goes out, with the metadata to send after it.
struct WireStatus {
  grpc::Status status;
  std::string reason;  // of its ErrorInfo; empty where the status is OK
  std::vector<std::pair<std::string, std::string>> trailing_metadata;
};

// Message and details together stay below this.
inline constexpr size_t kMaxStatusBytes = 4096;

// Turns `status`, made by compute::MakeError or not, into what the caller gets
// (AIP-193): code, message, and as binary details a google.rpc.Status holding
//   ErrorInfo    always: reason, domain "lossd", metadata;
//   BadRequest   for INVALID_ARGUMENT with a field: its path;
//   RetryInfo    for UNAVAILABLE: the delay, also sent to gRPC's own retries as
//                the trailing metadata `grpc-retry-pushback-ms`.
// Too long texts are cut, ending in "..."; bytes that are no printable ASCII
// become '?'. Pure; any thread.
WireStatus ToWireStatus(const absl::Status& status);

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_STATUS_H_
