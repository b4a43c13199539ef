// The servers under comparison.
#ifndef LOSSD_TESTS_BENCH_RPC_SERVERS_H_
#define LOSSD_TESTS_BENCH_RPC_SERVERS_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/rpc/flags.h"
#include "tests/bench/support/channel_setting.h"
#include "tests/bench/support/server_process.h"

namespace lossd::bench {

// A folder for sockets, removed at the end.
class SocketFolder {
 public:
  SocketFolder();
  ~SocketFolder();

  SocketFolder(const SocketFolder&) = delete;
  SocketFolder& operator=(const SocketFolder&) = delete;

  // An address to listen at over `transport`, a free one: a port that is to be
  // chosen, or a new path here.
  std::string NewAddress(const std::string& transport);

 private:
  std::string path_;
  int sockets_ = 0;
};

// lossd, as `flags` want it, at an address for each of `transports`, in their
// order.
// Errors: Unavailable: it did not start; its message.
absl::StatusOr<std::unique_ptr<ServerProcess>> StartService(
    const Flags& flags, const std::vector<std::string>& transports,
    SocketFolder& folder);

// The same for the echo, which has lossd's settings, but for `setting`.
absl::StatusOr<std::unique_ptr<ServerProcess>> StartEcho(
    const std::vector<std::string>& transports, SocketFolder& folder,
    const std::optional<ChannelSetting>& setting = std::nullopt);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_RPC_SERVERS_H_
