// The gRPC server around the core: build, health, reflection, drain.
#ifndef LOSSD_SERVER_RPC_SERVER_H_
#define LOSSD_SERVER_RPC_SERVER_H_

#include <grpcpp/channel.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/compute/thread_pool.h"
#include "server/rpc/admission.h"
#include "server/rpc/best_rate.h"
#include "server/rpc/call.h"
#include "server/rpc/call_gate.h"
#include "server/rpc/failure_log.h"
#include "server/rpc/health_service.h"
#include "server/rpc/loss_service.h"
#include "server/rpc/metrics.h"
#include "server/rpc/options.h"
#include "server/rpc/policy_file.h"

namespace lossd::rpc {

// A running server. Two pollers carry bytes between gRPC and a pool of compute
// threads; nothing is computed on a gRPC thread.
class Server {
 public:
  // Returns a server that answers as SERVING on every address of `options`.
  //
  // Errors: InvalidArgument: an option out of its range, a malformed address,
  //   plaintext where others could read along. FailedPrecondition: an address
  //   that cannot be listened on, "cannot listen on 127.0.0.1:50051: address
  //   already in use"; a file of TLS or of the policy that cannot be used.
  //   Internal: the numeric self-test failed. Nothing is left running then.
  static absl::StatusOr<std::unique_ptr<Server>> Start(Options options);

  // Cancels what is in flight, if the server was not drained.
  ~Server();

  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // One per address of the options, with the port that was bound.
  const std::vector<std::string>& addresses() const { return addresses_; }

  // What the calls in flight have reserved of the memory budget.
  int64_t reserved_bytes() const { return admission_.reserved_bytes(); }

  // The calls that wait for memory.
  int64_t calls_waiting() const { return admission_.waiting(); }

  // The calls that were let in and have not ended.
  int64_t calls_in_flight() const { return gate_.inside(); }

  // Whether health says SERVING.
  bool is_serving() const;

  // The server's metrics in Prometheus's text format.
  std::string MetricsText() const;

  // A channel to this server that goes over no network: its calls are served as
  // all others are, their caller having no address and no certificate. To be
  // given up before the server is destroyed.
  std::shared_ptr<grpc::Channel> InProcessChannel();

  // The memory that all calls share, for those who hold some of it on their way
  // to a call.
  Admission& admission() { return admission_; }

  // Ends the service for good, in order: health says NOT_SERVING; calls are
  // served on for `lame_duck`; new calls are refused with UNAVAILABLE and those
  // in flight finish. Returns true when they all have; false after `drain`, or
  // as soon as `give_up`, asked every few milliseconds, returns true.
  //
  // The server listens on and refuses calls until it is destroyed. gRPC then
  // answers with CANCELLED those that come while it shuts down, and nobody
  // retries them: a process that is about to end does better to end with its
  // server alive, which callers see as UNAVAILABLE. Call once.
  bool Drain(const std::function<bool()>& give_up = [] { return false; });

 private:
  // `policy`: null where everybody may call everything.
  Server(Options options, std::unique_ptr<PolicyFile> policy);

  absl::Status Listen();
  void ServeOn(grpc::ServerCompletionQueue* queue);

  const Options options_;
  std::vector<std::string> addresses_;
  CallGate gate_;
  Admission admission_;
  CallerNeeds needs_;
  std::vector<BestRate> rates_;
  FailureLog failures_;
  std::atomic<int64_t> live_calls_{0};
  const std::unique_ptr<PolicyFile> policy_;
  compute::ThreadPool pool_;
  LossService service_;
  HealthService health_;
  Metrics metrics_;
  const CallEnvironment environment_;
  std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues_;
  std::unique_ptr<grpc::Server> server_;
  std::atomic<std::chrono::steady_clock::time_point> last_event_{};
  std::vector<std::thread> pollers_;
};

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_SERVER_H_
