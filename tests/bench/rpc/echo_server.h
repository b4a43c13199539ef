// The echo that the service is compared with.
#ifndef LOSSD_TESTS_BENCH_RPC_ECHO_SERVER_H_
#define LOSSD_TESTS_BENCH_RPC_ECHO_SERVER_H_

#include <optional>
#include <string>
#include <vector>

#include "tests/bench/support/channel_setting.h"

namespace lossd::bench {

// Serves at `addresses` (HOST:PORT or unix:PATH) with lossd's gRPC settings,
// but for `setting`, and server model: a raw bidirectional method on completion
// queues, as many pollers, no hand-over, since nothing is computed. Prints
// "listening on ADDRESS" for each, and ends with stdin. Returns the exit code.
int ServeEcho(const std::vector<std::string>& addresses,
              const std::optional<ChannelSetting>& setting);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_RPC_ECHO_SERVER_H_
