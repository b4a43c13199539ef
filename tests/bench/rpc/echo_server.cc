#include "tests/bench/rpc/echo_server.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>
#include <variant>

#include "server/rpc/listen.h"
#include "server/rpc/transport.h"
#include "tests/bench/support/bidi_echo.h"
#include "tests/bench/support/handover.h"

namespace lossd::bench {
namespace {

// As lossd has them, each with a queue of its own.
constexpr int kPollers = 2;

}  // namespace

int ServeEcho(const std::vector<std::string>& addresses,
              const std::optional<ChannelSetting>& setting) {
  Gate gate(/*open=*/true);
  Worker worker(/*threaded=*/false);
  BidiEcho echo;
  grpc::ServerBuilder builder;
  rpc::ConfigureTransport(builder);
  if (setting) {
    std::visit(
        [&](const auto& value) {
          builder.AddChannelArgument(setting->name, value);
        },
        setting->value);
  }
  builder.RegisterService(&echo);
  std::vector<int> ports(addresses.size(), 0);
  for (size_t i = 0; i < addresses.size(); ++i) {
    builder.AddListeningPort(addresses[i], grpc::InsecureServerCredentials(),
                             &ports[i]);
  }
  std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues;
  for (int i = 0; i < kPollers; ++i) {
    queues.push_back(builder.AddCompletionQueue());
  }
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  std::vector<std::thread> pollers;
  for (const auto& queue : queues) {
    echo.AwaitCall(*queue, gate, worker);
    pollers.emplace_back([&queue] { PollCalls(*queue); });
  }
  for (size_t i = 0; i < addresses.size(); ++i) {
    std::printf("listening on %s\n",
                rpc::BoundAddress(addresses[i], ports[i]).c_str());
  }
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  server->Shutdown(std::chrono::system_clock::now());
  for (const auto& queue : queues) queue->Shutdown();
  for (std::thread& poller : pollers) poller.join();
  return 0;
}

}  // namespace lossd::bench
