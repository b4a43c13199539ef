// The command line of bench_rpc.
#ifndef LOSSD_TESTS_BENCH_RPC_FLAGS_H_
#define LOSSD_TESTS_BENCH_RPC_FLAGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/support/channel_setting.h"
#include "tests/bench/support/payload.h"

namespace lossd::bench {

// The most bytes of logits and labels in one payload.
inline constexpr int64_t kMaxPayloadBytes = 2'000'000'000;
inline constexpr double kMaxSeconds = 3600.0;
// Of a stream: 1 TiB, whose labels are still within a message.
inline constexpr int64_t kMaxStreamMib = int64_t{1} << 20;

struct Flags {
  bool json = false;
  bool idle_gaps = false;
  bool settings = false;
  int64_t stream_mib = 0;  // 0: not asked for
  std::vector<std::string> transports = {"tcp", "unix"};
  std::vector<Payload> payloads = {
      {32, 27}, {128, 1000}, {64, 32000}, {256, 50257}};
  double seconds = 4.0;  // per payload and transport; in (0, kMaxSeconds]
  int threads = 0;       // of lossd and of PyTorch; 0: what lossd takes
  std::string server;    // the lossd to measure
  std::string python;    // empty: without PyTorch
  std::vector<std::string> serve_echo;  // be the echo, at these addresses
  std::optional<ChannelSetting> echo_setting;  // of that echo
};

// What the command line came to: flags to run with, or a code to exit with.
struct ParsedFlags {
  Flags flags;
  std::optional<int> exit_code;
};

// Reads the flags. --help prints to stdout and asks to exit with 0; bad usage
// prints one line to stderr and asks to exit with 2.
ParsedFlags ParseFlags(int argc, const char* const* argv);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_RPC_FLAGS_H_
