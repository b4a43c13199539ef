#include "server/rpc/options.h"

#include <string_view>

#include "server/compute/kernel.h"
#include "server/rpc/errors.h"
#include "server/rpc/listen.h"

namespace lossd::rpc {
namespace {

constexpr int64_t kMaxPatienceMs = int64_t{24} * 60 * 60 * 1000;

template <typename Value>
absl::Status CheckRange(std::string_view name, Value value, Value low,
                        Value high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return OutOfRange(
      name, std::to_string(value),
      "[" + std::to_string(low) + ", " + std::to_string(high) + "]");
}

}  // namespace

absl::Status CheckKernel(const std::string& name) {
  if (name.empty()) return absl::OkStatus();
  std::string want = "one of";
  for (const std::string& kernel : compute::AvailableKernels()) {
    if (kernel == name) return absl::OkStatus();
    want += " " + kernel;
  }
  return OutOfRange("kernel", name, want);
}

std::string CheckMemoryBudget(int64_t bytes) {
  if (bytes == 0 || (bytes >= kSmallestMemoryBudgetBytes &&
                     bytes <= kLargestMemoryBudgetBytes)) {
    return "";
  }
  return "0 or [" + std::to_string(kSmallestMemoryBudgetBytes) + ", " +
         std::to_string(kLargestMemoryBudgetBytes) + "]";
}

absl::Status CheckOptions(const Options& options) {
  absl::Status status =
      CheckRange("threads", options.compute_threads, 1, kMaxComputeThreads);
  status.Update(CheckRange("max_request_bytes", options.max_request_bytes,
                           int64_t{1}, kLargestMaxRequestBytes));
  status.Update(CheckRange("receive_patience",
                           int64_t{options.receive_patience.count()},
                           int64_t{1}, kMaxPatienceMs));
  if (const std::string want = CheckMemoryBudget(options.memory_budget_bytes);
      !want.empty()) {
    status.Update(OutOfRange("memory_budget_bytes",
                             std::to_string(options.memory_budget_bytes),
                             want));
  }
  status.Update(CheckKernel(options.kernel));
  if (options.listen.empty()) status.Update(Missing("listen", "an address"));
  for (const std::string& address : options.listen) {
    status.Update(CheckListenAddress(address));
  }
  return status;
}

}  // namespace lossd::rpc
