// Latencies of the same payload by the service and what it is compared with.
#ifndef LOSSD_TESTS_BENCH_RPC_MEASURE_H_
#define LOSSD_TESTS_BENCH_RPC_MEASURE_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "tests/bench/rpc/subject.h"
#include "tests/bench/rpc/torch_peers.h"
#include "tests/bench/support/payload.h"

namespace lossd::bench {

// One payload over one transport.
struct Result {
  std::string transport;
  Payload payload;
  size_t service_bytes = 0;  // request and response
  size_t echo_bytes = 0;
  Latency service;
  Latency echo;
  std::optional<Latency> pytorch;         // F.cross_entropy and backward
  std::optional<Latency> python_service;  // the same behind grpcio
};

// Where the servers are, over one transport.
struct Addresses {
  std::string service;
  std::string echo;
  std::string python_service;  // looked at with PyTorch only
};

// Calls the service and the echo in turn, call by call, for `seconds` and at
// least eight times, after calls that warm up. With `torch`, stops four times
// on the way for its service and its steps, each for half of `seconds` in all.
// Before, each answer is looked at once; in between, its length only.
//
// Errors: what a server answers; Internal: an answer that is wrong.
absl::StatusOr<Result> Measure(const std::string& transport,
                               const Payload& payload,
                               const Addresses& addresses, double seconds,
                               TorchPeers* torch);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_RPC_MEASURE_H_
