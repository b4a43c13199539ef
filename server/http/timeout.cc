#include "server/http/timeout.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>

#include "server/rpc/errors.h"

namespace lossd::http {
namespace {

constexpr size_t kMaxDigits = 8;

std::optional<std::chrono::nanoseconds> UnitOf(char letter) {
  switch (letter) {
    case 'H':
      return std::chrono::hours(1);
    case 'M':
      return std::chrono::minutes(1);
    case 'S':
      return std::chrono::seconds(1);
    case 'm':
      return std::chrono::milliseconds(1);
    case 'u':
      return std::chrono::microseconds(1);
    case 'n':
      return std::chrono::nanoseconds(1);
    default:
      return std::nullopt;
  }
}

}  // namespace

absl::StatusOr<std::chrono::nanoseconds> ParseTimeout(std::string_view text) {
  using std::chrono::nanoseconds;
  if (text.empty()) return nanoseconds::max();
  const auto unit = UnitOf(text.back());
  const std::string_view digits = text.substr(0, text.size() - 1);
  if (!unit || digits.empty() || digits.size() > kMaxDigits ||
      digits.find_first_not_of("0123456789") != digits.npos) {
    constexpr char kWant[] =
        "1 to 8 digits and H, M, S, m, u or n, as in 500m for 500 ms";
    return rpc::Refused(absl::StatusCode::kInvalidArgument, "BAD_HEADER",
                        fmt::format("Grpc-Timeout: {}, want {}", text, kWant),
                        {{"header", "Grpc-Timeout"},
                         {"value", std::string(text)},
                         {"want", kWant}});
  }
  int64_t count = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), count);
  // 8 digits of hours are more than there is room for.
  if (count > nanoseconds::max() / *unit) return nanoseconds::max();
  return count * *unit;
}

}  // namespace lossd::http
