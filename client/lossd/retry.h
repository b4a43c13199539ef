#ifndef LOSSD_CLIENT_LOSSD_RETRY_H_
#define LOSSD_CLIENT_LOSSD_RETRY_H_

#include <grpcpp/client_context.h>
#include <grpcpp/impl/channel_interface.h>
#include <grpcpp/support/status.h>

#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/lossd/options.h"

namespace lossd {

// Errors: InvalidArgument: an option out of the range that RetryOptions gives.
absl::Status CheckRetryOptions(const RetryOptions& options);

// Returns how long to wait after attempt number `attempt` (from 1) failed with
// `error`, or nothing: give up. `pushback_ms` is the call's trailing metadata
// grpc-retry-pushback-ms, which goes before the error's RetryInfo; as gRPC has
// it, one that is negative or no number forbids to retry. What the server asks
// for is lengthened by the jitter, never shortened.
// REQUIRES: 0 <= random < 1; options that CheckRetryOptions accepts.
std::optional<absl::Duration> RetryDelay(
    const RetryOptions& options, int attempt, const absl::Status& error,
    const std::optional<std::string>& pushback_ms, double random);

// Runs `attempt`, a blocking call with the context given, until it succeeds,
// fails with what is not to be retried, or RetryDelay gives up or would pass
// `deadline`. Returns the last attempt's status. Unavailable and
// DeadlineExceeded say `target` and the number of attempts, too. Between two
// attempts `channel` connects again. Why here and not in gRPC: its own retries
// leave out requests over 256 KiB.
absl::Status CallWithRetries(
    const RetryOptions& options, const std::string& target,
    grpc::ChannelInterface& channel, absl::Time deadline,
    absl::FunctionRef<grpc::Status(grpc::ClientContext&)> attempt);

}  // namespace lossd

#endif  // LOSSD_CLIENT_LOSSD_RETRY_H_
