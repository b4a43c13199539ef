#include "server/rpc/failure_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <vector>

#include "server/rpc/event_log.h"

namespace lossd::rpc {
namespace {

constexpr size_t kMaxRequestIdBytes = 128;

// What every version has in the same places.
constexpr size_t kTraceparentBytes = 55;

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

bool IsZero(std::string_view text) {
  return text.find_first_not_of('0') == std::string_view::npos;
}

}  // namespace

std::optional<int64_t> LineLimit::Take(Clock::time_point now) {
  if (!second_ || now - *second_ >= std::chrono::seconds(1)) {
    second_ = now;
    lines_ = 0;
  }
  if (lines_ == kLinesPerSecond) {
    ++left_out_;
    return std::nullopt;
  }
  ++lines_;
  const int64_t left_out = left_out_;
  left_out_ = 0;
  return left_out;
}

bool FailureLog::Wants(absl::StatusCode code) {
  return code == absl::StatusCode::kInternal ||
         code == absl::StatusCode::kResourceExhausted ||
         code == absl::StatusCode::kUnavailable;
}

void FailureLog::Log(const FailedCall& call) {
  std::optional<int64_t> left_out;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    left_out = limit_.Take(LineLimit::Clock::now());
  }
  if (!left_out) return;
  const std::string code = absl::StatusCodeToString(call.code);
  std::vector<LogField> fields = {{"method", call.method},
                                  {"code", code},
                                  {"reason", call.reason},
                                  {"request_id", call.request_id}};
  if (IsTraceparent(call.traceparent)) {
    fields.push_back(
        {"traceparent", call.traceparent.substr(0, kTraceparentBytes)});
  }
  if (*left_out > 0) fields.push_back({"left_out", *left_out});
  LogWarning("call_failed", fields);
}

bool IsTraceparent(std::string_view text) {
  if (text.size() < kTraceparentBytes) return false;
  const std::string_view version = text.substr(0, 2);
  const std::string_view trace_id = text.substr(3, 32);
  const std::string_view parent_id = text.substr(36, 16);
  const std::string_view flags = text.substr(53, 2);
  if (text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
  for (const std::string_view part : {version, trace_id, parent_id, flags}) {
    if (!IsHex(part)) return false;
  }
  if (version == "ff" || IsZero(trace_id) || IsZero(parent_id)) return false;
  return text.size() == kTraceparentBytes ||
         (version != "00" && text[kTraceparentBytes] == '-');
}

bool IsRequestId(std::string_view text) {
  return !text.empty() && text.size() <= kMaxRequestIdBytes &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return c > ' ' && c <= '~'; });
}

std::string NewRequestId() {
  thread_local std::mt19937_64 random{(uint64_t{std::random_device()()} << 32) |
                                      std::random_device()()};
  return fmt::format("{:016x}", random());
}

}  // namespace lossd::rpc
