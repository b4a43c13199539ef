#include "client/flags/seconds.h"

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace lossd {
namespace {

// gRPC's timers tick in milliseconds; eleven days outlast any call.
constexpr double kMinSeconds = 0.001;
constexpr double kMaxSeconds = 1e6;

}  // namespace

CLI::Validator SecondsCheck() {
  return CLI::Validator(
      [](const std::string& text) -> std::string {
        double seconds = 0.0;
        if (absl::SimpleAtod(text, &seconds) && seconds >= kMinSeconds &&
            seconds <= kMaxSeconds) {
          return "";
        }
        return absl::StrCat("\"", text,
                            "\", want a number of seconds in [0.001, 1000000], "
                            "without a unit");
      },
      "in [0.001, 1000000]");
}

}  // namespace lossd
