// What the server logs: one line to stderr per event.
#ifndef LOSSD_SERVER_RPC_EVENT_LOG_H_
#define LOSSD_SERVER_RPC_EVENT_LOG_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace lossd::rpc {

enum class LogFormat { kText, kJson };

// One thing to know of an event. Views: they outlive the call they are given
// to.
struct LogField {
  std::string_view key;  // [a-z_]+
  std::variant<int64_t, std::string_view> value;
};

// Sends all that is logged from now on to stderr, a line with time, level and
// the event's fields:
//
//   kText  time=2026-11-27T08:00:00.000+00:00 level=info event=drain
//   in_flight=2 kJson  {"time":"2026-11-27T08:00:00.000+00:00","level":"info",
//           "event":"drain","in_flight":2}
//
// Call once, before anything is logged.
void LogToStderr(LogFormat format);

// Logs that `event` happened; a warning where somebody should look at it. Any
// thread.
void LogEvent(std::string_view event, const std::vector<LogField>& fields);
void LogWarning(std::string_view event, const std::vector<LogField>& fields);

// The event as it stands in its line. Text: values that are empty or have more
// than printable characters without blanks, quotes or "=" are quoted as in
// JSON. JSON: bytes that are no UTF-8 become U+FFFD. Pure.
std::string FormatEvent(LogFormat format, std::string_view event,
                        const std::vector<LogField>& fields);

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_EVENT_LOG_H_
