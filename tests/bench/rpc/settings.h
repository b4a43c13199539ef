// gRPC's settings, each beside the ones that lossd has.
#ifndef LOSSD_TESTS_BENCH_RPC_SETTINGS_H_
#define LOSSD_TESTS_BENCH_RPC_SETTINGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/rpc/flags.h"
#include "tests/bench/rpc/subject.h"
#include "tests/bench/support/payload.h"

namespace lossd::bench {

// A payload over a transport by one setting.
struct SettingResult {
  std::string transport;
  Payload payload;
  std::string setting;  // NAME=VALUE; empty: as lossd and its client have them
  Latency latency;
  double gain = 1.0;  // the median by lossd's settings over the one by this
};

// Calls echoes that differ by one setting, on both sides, in turn, call by
// call: each payload over each transport, `flags.seconds` for each setting.
// Errors: Unavailable: an echo did not start; what an echo answers.
absl::StatusOr<std::vector<SettingResult>> MeasureSettings(
    const Flags& flags, const std::string& transport, const Payload& payload);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_RPC_SETTINGS_H_
