// Errors of the RPC layer, made in one way: a message for people whose variable
// parts are metadata for programs, too.
#ifndef LOSSD_SERVER_RPC_ERRORS_H_
#define LOSSD_SERVER_RPC_ERRORS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace lossd::rpc {

using Metadata = std::vector<std::pair<std::string, std::string>>;

// INVALID_ARGUMENT of `field`: "FIELD = VALUE, want WANT".
absl::Status OutOfRange(std::string_view field, std::string_view value,
                        std::string_view want);

// INVALID_ARGUMENT of `field`: "FIELD: missing, want WANT".
absl::Status Missing(std::string_view field, std::string_view want);

// INVALID_ARGUMENT of `field`, in the caller's words. `reason` names the kind
// of error in UPPER_SNAKE_CASE; `field` becomes metadata, too.
absl::Status Invalid(std::string_view reason, std::string_view field,
                     std::string_view message, Metadata metadata);

// An error of any other code that names no field.
absl::Status Refused(absl::StatusCode code, std::string_view reason,
                     std::string_view message, Metadata metadata);

// UNIMPLEMENTED: "WHAT is not in this build".
absl::Status NotBuilt(std::string_view what, std::string_view field);

// INVALID_ARGUMENT: the bytes are no message of type `message_type`.
absl::Status NotAMessage(std::string_view message_type);

// INVALID_ARGUMENT: the caller ended its side without a message.
absl::Status NoRequestMessage();

// PERMISSION_DENIED: the authorization policy does not let this caller call
// `path`.
absl::Status Denied(std::string_view path);

// RESOURCE_EXHAUSTED: a request larger than the server takes.
absl::Status RequestTooLarge(size_t request_bytes, int64_t max_request_bytes);

// The same of one message of a stream.
absl::Status ChunkTooLarge(size_t chunk_bytes, int64_t max_request_bytes);

// RESOURCE_EXHAUSTED: a response larger than one message can be.
absl::Status ResponseTooLarge(int64_t response_bytes,
                              int64_t max_response_bytes);

// RESOURCE_EXHAUSTED: no memory for a request that passed every limit.
absl::Status OutOfMemory(size_t request_bytes);

// UNAVAILABLE: this server is about to stop; another one, or this one started
// anew, takes the call after `retry_delay_ms`.
absl::Status Draining();

// UNAVAILABLE: no room in the memory budget for `bytes` more, in time.
absl::Status Overloaded(int64_t bytes, int64_t budget_bytes);

// RESOURCE_EXHAUSTED: a call that needs more memory than all calls may have.
absl::Status TooLargeForBudget(int64_t bytes, int64_t budget_bytes,
                               int64_t max_request_bytes);

// UNAVAILABLE: a caller that let others wait for what it had reserved and sent
// no message in time.
absl::Status SentTooSlowly(std::chrono::milliseconds patience);

// UNAVAILABLE: the same of one that read no answer.
absl::Status ReadTooSlowly(std::chrono::milliseconds patience);

absl::Status CallerCancelled();
absl::Status DeadlinePassed();

// DEADLINE_EXCEEDED, ahead of it: `bytes` have never been computed in the time
// that is `left`, but in `least` at best.
absl::Status DeadlineTooShort(int64_t bytes,
                              std::chrono::steady_clock::duration left,
                              std::chrono::steady_clock::duration least);

// The metadata key that carries an UNAVAILABLE's delay before a retry.
inline constexpr std::string_view kRetryDelayKey = "retry_delay_ms";

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_ERRORS_H_
