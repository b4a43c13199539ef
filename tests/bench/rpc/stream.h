// StreamLoss beside the unary echo, byte for byte, and what memory it takes.
#ifndef LOSSD_TESTS_BENCH_RPC_STREAM_H_
#define LOSSD_TESTS_BENCH_RPC_STREAM_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "tests/bench/rpc/flags.h"
#include "tests/bench/rpc/subject.h"
#include "tests/bench/support/payload.h"

namespace lossd::bench {

// The echo's payload, and the stream's classes.
inline constexpr Payload kStreamEchoPayload = {256, 50257};

// A batch over one transport.
struct StreamResult {
  std::string transport;
  int64_t rows = 0;
  int64_t bytes = 0;  // of the stream, both ways
  double seconds = 0;
  int64_t echo_bytes = 0;  // of one call, both ways
  Latency echo;
  double idle_mib = 0;  // resident, of a server just started
  double peak_mib = 0;  // the same at its most
};

// Streams `flags.stream_mib` MiB of logits once, the echo called for
// `flags.seconds` before and as long after.
// Errors: Unavailable: a server did not start; what a server answers.
absl::StatusOr<StreamResult> MeasureStream(const Flags& flags,
                                           const std::string& transport);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_RPC_STREAM_H_
