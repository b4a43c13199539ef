#include "server/rpc/server.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <utility>

#include "server/compute/kernel.h"
#include "server/rpc/cpu_limit.h"
#include "server/rpc/errors.h"
#include "server/rpc/event_log.h"
#include "server/rpc/grpc_log.h"
#include "server/rpc/health_call.h"
#include "server/rpc/listen.h"
#include "server/rpc/memory.h"
#include "server/rpc/plugins.h"
#include "server/rpc/self_test.h"
#include "server/rpc/stream_call.h"
#include "server/rpc/tls.h"
#include "server/rpc/transport.h"
#include "server/rpc/unary_call.h"

namespace lossd::rpc {
namespace {

using Clock = std::chrono::steady_clock;

// One reads a large request off its socket while the other serves small ones.
constexpr int kPollers = 2;

constexpr std::chrono::milliseconds kGiveUpInterval(10);

// How long memory of large messages is kept for the next one.
constexpr std::chrono::seconds kKeepMemory(2);

// No larger than what fits into the memory budget with an answer as large.
int64_t MaxRequestBytes(const Options& options) {
  if (options.memory_budget_bytes == 0) return options.max_request_bytes;
  const Admission admission(options.memory_budget_bytes);
  return std::min(options.max_request_bytes,
                  admission.largest_call_bytes() / 2 - kCallBytes);
}

std::vector<std::string> MethodNames() {
  std::vector<std::string> names;
  for (int method = 0; method < LossService::method_count(); ++method) {
    names.emplace_back(LossService::MethodName(method));
  }
  return names;
}

}  // namespace

Server::Server(Options options, std::unique_ptr<PolicyFile> policy)
    : options_(std::move(options)),
      admission_(options_.memory_budget_bytes),
      rates_(LossService::method_count()),
      policy_(std::move(policy)),
      pool_(options_.compute_threads, compute::ThreadPool::AfterHelp::kSleep),
      service_(options_, pool_),
      metrics_(MethodNames(), LOSSD_VERSION,
               std::string(compute::ActiveKernel())),
      environment_{service_,
                   health_,
                   pool_,
                   gate_,
                   admission_,
                   needs_,
                   rates_,
                   metrics_,
                   failures_,
                   live_calls_,
                   options_.max_request_bytes,
                   options_.receive_patience,
                   policy_.get()} {}

Server::~Server() {
  if (server_ == nullptr) return;
  // Cancels what is left and waits until gRPC has nothing more to send of it. A
  // poller may still be about to start a call's last operation, which a queue
  // that was shut down would answer with abort(): so the queues outlive the
  // calls.
  server_->Shutdown(std::chrono::system_clock::now());
  while (const int64_t live_calls = live_calls_.load()) {
    live_calls_.wait(live_calls);
  }
  for (const auto& queue : queues_) queue->Shutdown();
  for (std::thread& poller : pollers_) poller.join();
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(Options options) {
  if (options.compute_threads == 0) options.compute_threads = UsableCpus();
  absl::Status status = CheckOptions(options);
  for (const std::string& address : options.listen) {
    if (status.ok()) status = CheckNobodyListens(address);
  }
  if (status.ok() && !options.tls.certificate.empty()) {
    status = CheckTlsFiles(options.tls);
  }
  if (!status.ok()) return status;
  std::unique_ptr<PolicyFile> policy;
  if (!options.authorization_policy.empty()) {
    auto opened = PolicyFile::Open(options.authorization_policy,
                                   options.authorization_reload);
    if (!opened.ok()) return opened.status();
    policy = *std::move(opened);
  }
  options.max_request_bytes = MaxRequestBytes(options);
  if (!options.kernel.empty()) compute::SelectKernel(options.kernel);
  std::unique_ptr<Server> server(
      new Server(std::move(options), std::move(policy)));
  status = RunSelfTest(server->pool_);
  if (status.ok()) status = server->Listen();
  if (!status.ok()) return status;
  server->health_.SetServing(true);
  for (const auto& queue : server->queues_) server->ServeOn(queue.get());
  for (const std::string& address : server->addresses_) {
    LogEvent("listen", {{"address", address},
                        {"threads", server->pool_.threads()},
                        {"kernel", compute::ActiveKernel()}});
  }
  return server;
}

absl::Status Server::Listen() {
  const GrpcLogCapture log;
  // gRPC's own services know nothing of the policy.
  const auto made = MakeServerBuilder(options_.reflection && policy_ == nullptr,
                                      options_.channelz);
  grpc::ServerBuilder& builder = *made;
  ConfigureTransport(builder);
  if (options_.memory_budget_bytes > 0) {
    BoundTransport(options_.memory_budget_bytes, builder);
  }
  // Only reflection and channelz are served by gRPC's own threads.
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
  builder.RegisterService(&service_);
  builder.RegisterService(&health_);
  const auto tls = options_.tls.certificate.empty()
                       ? grpc::InsecureServerCredentials()
                       : TlsCredentials(options_.tls);
  std::vector<int> ports(options_.listen.size(), 0);
  for (size_t i = 0; i < ports.size(); ++i) {
    const std::string& address = options_.listen[i];
    builder.AddListeningPort(
        address, IsUnix(address) ? grpc::InsecureServerCredentials() : tls,
        &ports[i]);
  }
  for (int i = 0; i < kPollers; ++i) {
    queues_.push_back(builder.AddCompletionQueue());
  }
  server_ = builder.BuildAndStart();
  // gRPC stops at the first address that fails and leaves its port at 0.
  const auto failed = std::find(ports.begin(), ports.end(), 0);
  if (failed != ports.end()) {
    return CannotListen(options_.listen[failed - ports.begin()], log.text());
  }
  if (SaysAddressInUse(log.text())) {
    return CannotListen(options_.listen.front(), log.text());
  }
  for (size_t i = 0; i < ports.size(); ++i) {
    addresses_.push_back(BoundAddress(options_.listen[i], ports[i]));
  }
  return absl::OkStatus();
}

void Server::ServeOn(grpc::ServerCompletionQueue* queue) {
  for (int method = 0; method < LossService::method_count(); ++method) {
    Call::Await(
        LossService::IsStream(method)
            ? static_cast<Call*>(new StreamCall(environment_, method, queue))
            : new UnaryCall(environment_, method, queue));
  }
  Call::Await(new HealthCheckCall(environment_, queue));
  Call::Await(new HealthWatchCall(environment_, queue));
  pollers_.emplace_back([this, queue] {
    void* tag;
    bool ok;
    for (;;) {
      const auto deadline = std::chrono::system_clock::now() + kKeepMemory / 2;
      switch (queue->AsyncNext(&tag, &ok, deadline)) {
        case grpc::CompletionQueue::GOT_EVENT:
          last_event_.store(Clock::now(), std::memory_order_relaxed);
          Call::HandleEvent(tag, ok);
          break;
        case grpc::CompletionQueue::TIMEOUT:
          // The other poller may be busy.
          if (Clock::now() - last_event_.load(std::memory_order_relaxed) >=
              kKeepMemory) {
            ReturnFreeMemory();
          }
          break;
        case grpc::CompletionQueue::SHUTDOWN:
          return;
      }
    }
  });
}

bool Server::is_serving() const {
  return health_.StatusOf("") == grpc::health::v1::HealthCheckResponse::SERVING;
}

std::shared_ptr<grpc::Channel> Server::InProcessChannel() {
  grpc::ChannelArguments arguments;
  // The server bounds what it takes by itself.
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetMaxReceiveMessageSize(-1);
  return server_->InProcessChannel(arguments);
}

std::string Server::MetricsText() const {
  ServerState state;
  state.is_serving = is_serving();
  state.calls_in_flight = gate_.inside();
  state.calls_waiting = admission_.waiting();
  state.reserved_bytes = admission_.reserved_bytes();
  state.budget_bytes = admission_.budget_bytes();
  state.computed_rows = service_.computed().rows();
  state.computed_logits = service_.computed().logits();
  return metrics_.Text(state);
}

bool Server::Drain(const std::function<bool()>& give_up) {
  LogEvent("drain", {{"in_flight", gate_.inside()}});
  health_.SetServing(false);
  const Clock::time_point lame_duck_end = Clock::now() + options_.lame_duck;
  bool forced = false;
  while (Clock::now() < lame_duck_end && !(forced = give_up())) {
    std::this_thread::sleep_for(kGiveUpInterval);
  }
  gate_.Close();
  const auto patience = forced ? std::chrono::seconds(0) : options_.drain;
  const bool empty = gate_.WaitUntilEmpty(Clock::now() + patience, give_up);
  LogEvent("drained", {{"left", empty ? 0 : gate_.inside()}});
  return empty;
}

}  // namespace lossd::rpc
