// What can be set on a server.
#ifndef LOSSD_SERVER_RPC_OPTIONS_H_
#define LOSSD_SERVER_RPC_OPTIONS_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace lossd::rpc {

// The largest max_request_bytes: no protobuf message is larger.
inline constexpr int64_t kLargestMaxRequestBytes = 0x7fffffff;

inline constexpr int64_t kSmallestMemoryBudgetBytes = int64_t{16} << 20;
inline constexpr int64_t kLargestMemoryBudgetBytes = int64_t{1} << 50;

inline constexpr int kMaxComputeThreads = 1024;

// How often files may be looked at again, at most.
inline constexpr std::chrono::seconds kLongestReload{24 * 60 * 60};

// Files in PEM that TLS needs.
struct TlsFiles {
  // The server's certificate, then those that lead to its issuer; empty: no
  // TLS.
  std::string certificate;
  // Its private key, without a password.
  std::string key;
  // When not empty: every caller must show a certificate that leads to one of
  // these.
  std::string client_ca;
  // How often all three are looked at for new contents, 1 to kLongestReload.
  std::chrono::seconds reload{60};
};

struct Options {
  // HOST:PORT or unix:PATH; port 0 picks a free one. With TLS all HOST:PORT
  // speak it, while unix:PATH stays plaintext: its file's permissions guard it.
  std::vector<std::string> listen = {"127.0.0.1:50051"};
  // Whether plaintext is spoken on addresses that other machines reach.
  bool allow_insecure = false;
  TlsFiles tls;
  // A file with a policy of who may call what, and how often it is looked at,
  // 1 to kLongestReload; empty: everybody may call everything. With one there
  // is no reflection, and must be no channelz: gRPC serves them past it.
  std::string authorization_policy;
  std::chrono::seconds authorization_reload{60};
  // Threads that compute, 1 to kMaxComputeThreads; 0: as many as there are CPUs
  // for this process.
  int compute_threads = 0;
  // One of the kernels that this machine runs, by name; empty: the best.
  std::string kernel;
  // The largest request taken, 1 to kLargestMaxRequestBytes.
  int64_t max_request_bytes = int64_t{256} << 20;
  // Memory for the calls in flight, kSmallestMemoryBudgetBytes and more; 0: not
  // bounded.
  int64_t memory_budget_bytes = 0;
  // How long a call may keep reserved memory from others that wait for it,
  // before its message is there; 1 ms and more.
  std::chrono::milliseconds receive_patience{10'000};
  // Drain: how long to go on serving as NOT_SERVING, then how long to wait for
  // the calls in flight.
  std::chrono::seconds lame_duck{0};
  std::chrono::seconds drain{30};
  // Whether clients may ask for the service's description, and for what gRPC
  // counts of its connections and calls.
  bool reflection = true;
  bool channelz = false;
};

// Errors: InvalidArgument: a kernel that there is not; those there are are
// named.
absl::Status CheckKernel(const std::string& name);

// Nothing where memory can be bounded by `bytes`, or need not be (0); what is
// wanted otherwise.
std::string CheckMemoryBudget(int64_t bytes);

// Errors: InvalidArgument: an address where others could read along and
//   nobody allowed it; one of the TLS files without those that it needs;
//   channelz beside a policy.
absl::Status CheckExposure(const Options& options);

// Errors: InvalidArgument: the first option out of its range, `compute_threads`
//   being given; a malformed address; what CheckExposure says.
absl::Status CheckOptions(const Options& options);

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_OPTIONS_H_
