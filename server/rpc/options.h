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

struct Options {
  // HOST:PORT or unix:PATH; port 0 picks a free one.
  std::vector<std::string> listen = {"127.0.0.1:50051"};
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
  // Whether clients may ask for the service's description.
  bool reflection = true;
};

// Errors: InvalidArgument: a kernel that there is not; those there are are
// named.
absl::Status CheckKernel(const std::string& name);

// Nothing where memory can be bounded by `bytes`, or need not be (0); what is
// wanted otherwise.
std::string CheckMemoryBudget(int64_t bytes);

// Errors: InvalidArgument: the first option out of its range, `compute_threads`
//   being given; a malformed address.
absl::Status CheckOptions(const Options& options);

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_OPTIONS_H_
