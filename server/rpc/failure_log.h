// Lines about calls that failed for the server's sake.
#ifndef LOSSD_SERVER_RPC_FAILURE_LOG_H_
#define LOSSD_SERVER_RPC_FAILURE_LOG_H_

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace lossd::rpc {

// Bounds lines a second. One thread at a time.
class LineLimit {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr int kLinesPerSecond = 10;

  // Whether a line may be written at `now`, which never goes back: how many
  // were left out since the last one that was; nothing where it may not.
  std::optional<int64_t> Take(Clock::time_point now);

 private:
  std::optional<Clock::time_point> second_;  // where it began
  int lines_ = 0;                            // written since
  int64_t left_out_ = 0;
};

// A call that failed.
struct FailedCall {
  std::string_view method;
  absl::StatusCode code = absl::StatusCode::kUnknown;
  std::string_view reason;  // of its ErrorInfo
  std::string_view request_id;
  std::string_view traceparent;  // as it came; not logged where malformed
};

// Any thread.
class FailureLog {
 public:
  // Whether such an end is logged: INTERNAL, RESOURCE_EXHAUSTED and UNAVAILABLE
  // are the server's matter, the others are their caller's.
  static bool Wants(absl::StatusCode code);

  // Logs event=call_failed, at most LineLimit::kLinesPerSecond times a second;
  // left_out= says how many lines before this one were not written.
  void Log(const FailedCall& call);

 private:
  std::mutex mutex_;
  LineLimit limit_;  // guarded by mutex_
};

// Whether `text` is a traceparent of W3C Trace Context, level 1:
// VERSION-TRACE_ID-PARENT_ID-FLAGS in lower-case hexadecimal digits, neither id
// zero. A later version may have more, after a hyphen.
bool IsTraceparent(std::string_view text);

// What a caller's x-request-id may be: 1 to 128 printable ASCII characters
// without blanks.
bool IsRequestId(std::string_view text);

// 16 hexadecimal digits, by chance: another one for every call.
std::string NewRequestId();

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_FAILURE_LOG_H_
