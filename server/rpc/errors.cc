#include "server/rpc/errors.h"

#include <fmt/format.h>

#include "server/compute/error.h"

namespace lossd::rpc {
namespace {

using compute::MakeError;

// Long enough for a balancer to notice, short beside a restart.
constexpr int kDrainingRetryDelayMs = 200;

// Calls take less; those that wait already go first.
constexpr int kOverloadedRetryDelayMs = 200;

// Of a message that came in, and what to do instead.
absl::Status TooLarge(std::string_view what, size_t bytes, int64_t max_bytes,
                      std::string_view advice) {
  return MakeError(
      absl::StatusCode::kResourceExhausted,
      fmt::format("{} of {} bytes, this server takes at most {}; {}", what,
                  bytes, max_bytes, advice),
      {"REQUEST_TOO_LARGE",
       "",
       {{"request_bytes", std::to_string(bytes)},
        {"max_request_bytes", std::to_string(max_bytes)}}});
}

// A caller that keeps what others wait for; `message` has room for `patience`.
absl::Status HeldUp(std::string_view reason,
                    fmt::format_string<int64_t> message,
                    std::chrono::milliseconds patience) {
  return MakeError(absl::StatusCode::kUnavailable,
                   fmt::format(message, int64_t{patience.count()}),
                   {std::string(reason),
                    "",
                    {{"patience_ms", std::to_string(patience.count())},
                     {std::string(kRetryDelayKey),
                      std::to_string(kOverloadedRetryDelayMs)}}});
}

}  // namespace

absl::Status OutOfRange(std::string_view field, std::string_view value,
                        std::string_view want) {
  return Invalid("OUT_OF_RANGE", field,
                 fmt::format("{} = {}, want {}", field, value, want),
                 {{"value", std::string(value)}, {"want", std::string(want)}});
}

absl::Status Missing(std::string_view field, std::string_view want) {
  return Invalid("MISSING_FIELD", field,
                 fmt::format("{}: missing, want {}", field, want),
                 {{"want", std::string(want)}});
}

absl::Status Invalid(std::string_view reason, std::string_view field,
                     std::string_view message, Metadata metadata) {
  metadata.emplace_back("field", field);
  return MakeError(
      absl::StatusCode::kInvalidArgument, message,
      {std::string(reason), std::string(field), std::move(metadata)});
}

absl::Status Refused(absl::StatusCode code, std::string_view reason,
                     std::string_view message, Metadata metadata) {
  return MakeError(code, message,
                   {std::string(reason), "", std::move(metadata)});
}

absl::Status NotBuilt(std::string_view what, std::string_view field) {
  return MakeError(
      absl::StatusCode::kUnimplemented,
      fmt::format("{} is not in this build", what),
      {"NOT_IN_THIS_BUILD",
       std::string(field),
       {{"what", std::string(what)}, {"field", std::string(field)}}});
}

absl::Status NotAMessage(std::string_view message_type) {
  return MakeError(
      absl::StatusCode::kInvalidArgument,
      fmt::format("the bytes are no valid {}", message_type),
      {"NOT_A_MESSAGE", "", {{"type", std::string(message_type)}}});
}

absl::Status NoRequestMessage() {
  return MakeError(absl::StatusCode::kInvalidArgument,
                   "the call ended without a request message, want one",
                   {"NO_MESSAGE", "", {}});
}

absl::Status Denied(std::string_view path) {
  return MakeError(
      absl::StatusCode::kPermissionDenied,
      fmt::format("this server's authorization policy does not let you call {}",
                  path),
      {"DENIED_BY_POLICY", "", {{"path", std::string(path)}}});
}

absl::Status RequestTooLarge(size_t request_bytes, int64_t max_request_bytes) {
  return TooLarge("request", request_bytes, max_request_bytes,
                  "send it in chunks by StreamLoss");
}

absl::Status ChunkTooLarge(size_t chunk_bytes, int64_t max_request_bytes) {
  return TooLarge("message", chunk_bytes, max_request_bytes,
                  "send fewer rows in a chunk");
}

absl::Status ResponseTooLarge(int64_t response_bytes,
                              int64_t max_response_bytes) {
  return MakeError(
      absl::StatusCode::kResourceExhausted,
      fmt::format("response of {} bytes, one message holds at most {}; ask for "
                  "fewer outputs or send the batch in chunks by StreamLoss",
                  response_bytes, max_response_bytes),
      {"RESPONSE_TOO_LARGE",
       "outputs",
       {{"response_bytes", std::to_string(response_bytes)},
        {"max_response_bytes", std::to_string(max_response_bytes)}}});
}

absl::Status OutOfMemory(size_t request_bytes) {
  return MakeError(
      absl::StatusCode::kResourceExhausted,
      fmt::format("no memory for a request of {} bytes; send it in chunks by "
                  "StreamLoss",
                  request_bytes),
      {"OUT_OF_MEMORY",
       "",
       {{"request_bytes", std::to_string(request_bytes)}}});
}

absl::Status Draining() {
  return MakeError(
      absl::StatusCode::kUnavailable,
      fmt::format("the server is draining; retry after {} ms",
                  kDrainingRetryDelayMs),
      {"DRAINING",
       "",
       {{std::string(kRetryDelayKey), std::to_string(kDrainingRetryDelayMs)}}});
}

absl::Status Overloaded(int64_t bytes, int64_t budget_bytes) {
  return MakeError(
      absl::StatusCode::kUnavailable,
      fmt::format("overloaded: no room for {} bytes in a memory budget of {} "
                  "bytes; try again",
                  bytes, budget_bytes),
      {"OVERLOADED",
       "",
       {{"bytes", std::to_string(bytes)},
        {"memory_budget_bytes", std::to_string(budget_bytes)},
        {std::string(kRetryDelayKey),
         std::to_string(kOverloadedRetryDelayMs)}}});
}

absl::Status TooLargeForBudget(int64_t bytes, int64_t budget_bytes,
                               int64_t max_request_bytes) {
  return MakeError(
      absl::StatusCode::kResourceExhausted,
      fmt::format("this call needs {} bytes of memory, this server has {} for "
                  "all calls; send it in chunks by StreamLoss",
                  bytes, budget_bytes),
      {"REQUEST_TOO_LARGE",
       "",
       {{"bytes", std::to_string(bytes)},
        {"memory_budget_bytes", std::to_string(budget_bytes)},
        {"max_request_bytes", std::to_string(max_request_bytes)}}});
}

absl::Status SentTooSlowly(std::chrono::milliseconds patience) {
  return HeldUp("SENT_TOO_SLOWLY",
                "no whole message within {} ms, while others wait for memory; "
                "send smaller messages, by StreamLoss, or try again",
                patience);
}

absl::Status ReadTooSlowly(std::chrono::milliseconds patience) {
  return HeldUp("READ_TOO_SLOWLY",
                "no answer was read within {} ms, while others wait for memory",
                patience);
}

absl::Status CallerCancelled() {
  return MakeError(absl::StatusCode::kCancelled, "the caller went away",
                   {"CALLER_CANCELLED", "", {}});
}

absl::Status DeadlinePassed() {
  return MakeError(absl::StatusCode::kDeadlineExceeded,
                   "the caller's deadline passed", {"DEADLINE_PASSED", "", {}});
}

absl::Status DeadlineTooShort(int64_t bytes,
                              std::chrono::steady_clock::duration left,
                              std::chrono::steady_clock::duration least) {
  using std::chrono::milliseconds;
  const auto left_ms = std::chrono::floor<milliseconds>(left).count();
  const auto least_ms = std::chrono::ceil<milliseconds>(least).count();
  return MakeError(
      absl::StatusCode::kDeadlineExceeded,
      fmt::format("the caller's deadline is in {} ms, want at least {} ms to "
                  "compute {} bytes",
                  left_ms, least_ms, bytes),
      {"DEADLINE_TOO_SHORT",
       "",
       {{"left_ms", std::to_string(left_ms)},
        {"least_ms", std::to_string(least_ms)},
        {"request_bytes", std::to_string(bytes)}}});
}

}  // namespace lossd::rpc
