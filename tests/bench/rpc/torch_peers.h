// PyTorch, in process and as a Python service.
#ifndef LOSSD_TESTS_BENCH_RPC_TORCH_PEERS_H_
#define LOSSD_TESTS_BENCH_RPC_TORCH_PEERS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/rpc/servers.h"
#include "tests/bench/support/payload.h"
#include "tests/bench/support/server_process.h"

namespace lossd::bench {

// The path that torch_service.py serves.
inline constexpr char kTorchPath[] = "/torch.Loss/Compute";

// Both Python programs, running.
class TorchPeers {
 public:
  // `python` runs both with `threads` threads of PyTorch each; the service has
  // an address for each of `transports`.
  // Errors: Unavailable: PyTorch or grpcio is missing there, or Python is.
  static absl::StatusOr<std::unique_ptr<TorchPeers>> Start(
      const std::string& python, int threads,
      const std::vector<std::string>& transports, SocketFolder& folder);

  // The service's, in the transports' order.
  const std::vector<std::string>& addresses() const {
    return service_->addresses();
  }

  // The times of steps of F.cross_entropy and backward, one after another for
  // `seconds`, at least one, without those that warm up; in ms.
  // Errors: Unavailable: the program has ended.
  absl::StatusOr<std::vector<double>> StepFor(const Payload& payload,
                                              double seconds);

 private:
  std::unique_ptr<ServerProcess> service_;
  std::unique_ptr<ServerProcess> in_process_;
};

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_RPC_TORCH_PEERS_H_
