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

absl::Status CheckReload(std::string_view name, std::chrono::seconds reload) {
  return CheckRange(name, int64_t{reload.count()}, int64_t{1},
                    int64_t{kLongestReload.count()});
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

absl::Status CheckExposure(const Options& options) {
  const TlsFiles& tls = options.tls;
  if (!tls.key.empty() && tls.certificate.empty()) {
    return Missing("tls_certificate", "the certificate of --tls-key");
  }
  if (!tls.certificate.empty() && tls.key.empty()) {
    return Missing("tls_key", "the private key of --tls-certificate");
  }
  if (!tls.client_ca.empty() && tls.certificate.empty()) {
    return Missing("tls_certificate",
                   "one, with --tls-key, where --tls-client-ca is set");
  }
  if (options.channelz && !options.authorization_policy.empty()) {
    return OutOfRange("channelz", "true",
                      "false with --authorization-policy: gRPC serves it "
                      "without asking the policy");
  }
  if (options.allow_insecure || !tls.certificate.empty()) {
    return absl::OkStatus();
  }
  for (const std::string& address : options.listen) {
    if (IsLocalAddress(address)) continue;
    return OutOfRange("listen", address,
                      "TLS (--tls-certificate and --tls-key), an address of "
                      "this machine alone (127.0.0.1, [::1], unix:PATH), or "
                      "--allow-insecure for plaintext");
  }
  return absl::OkStatus();
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
  status.Update(CheckReload("tls_reload", options.tls.reload));
  status.Update(
      CheckReload("authorization_reload", options.authorization_reload));
  status.Update(CheckExposure(options));
  return status;
}

}  // namespace lossd::rpc
