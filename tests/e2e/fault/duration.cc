#include "tests/e2e/fault/duration.h"

#include <cstdlib>
#include <string>

#include "absl/strings/numbers.h"

namespace lossd {

absl::Duration FaultDuration() {
  const char* const text = std::getenv("LOSSD_FAULT_SECONDS");
  double seconds = 1;
  if (text != nullptr && (!absl::SimpleAtod(text, &seconds) || seconds <= 0)) {
    std::abort();
  }
  return absl::Seconds(seconds);
}

}  // namespace lossd
