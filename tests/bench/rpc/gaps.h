// Small calls after idle gaps.
#ifndef LOSSD_TESTS_BENCH_RPC_GAPS_H_
#define LOSSD_TESTS_BENCH_RPC_GAPS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/rpc/flags.h"
#include "tests/bench/support/idle.h"

namespace lossd::bench {

// One gap over one transport: the same number of calls of each.
struct GapResult {
  std::string transport;
  GapLatency service;
  GapLatency echo;
};

// The payload of these calls.
inline constexpr Payload kGapPayload = {32, 27};

// Measures 32x27 calls after gaps of 0, 0.01, 0.1, 0.5, 1, 1.1, 2 and 3 s, 200
// and more of each. From 0.5 s on that takes 8 and more servers of each kind
// side by side, a process and a calling thread each, idle nearly all the time.
// Errors: Unavailable: a server did not start. A call that fails ends the
//   program, with its message.
absl::StatusOr<std::vector<GapResult>> MeasureGaps(
    const Flags& flags, const std::string& transport);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_RPC_GAPS_H_
