#include <arpa/inet.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/security/server_credentials.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/bench/server_model/builder.h"
#include "tests/bench/server_model/echo_server.h"
#include "tests/bench/server_model/model.h"

namespace lossd::bench {
namespace {

// Sends back what it gets, for one client.
void EchoBytes(int connection) {
  const int on = 1;
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  std::vector<char> buffer(1 << 16);
  ssize_t got = 0;
  while ((got = read(connection, buffer.data(), buffer.size())) > 0) {
    for (ssize_t sent = 0; sent < got;) {
      const ssize_t now = write(connection, buffer.data() + sent, got - sent);
      if (now <= 0) return;
      sent += now;
    }
  }
  close(connection);
}

class SocketServer : public EchoServer {
 public:
  SocketServer() : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* any = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener_, any, size) != 0 || listen(listener_, 16) != 0) {
      std::perror("socket echo");
      std::exit(1);
    }
    getsockname(listener_, any, &size);
    port_ = ntohs(address.sin_port);
    std::thread([listener = listener_] {
      EchoBytes(accept(listener, nullptr, nullptr));
    }).detach();
  }

  ~SocketServer() override { close(listener_); }

  int port() const override { return port_; }

 private:
  int listener_;
  int port_ = 0;
};

std::unique_ptr<EchoServer> Start(const ModelConfig& config, Gate& gate,
                                  Worker& worker) {
  switch (config.model) {
    case Model::kSocket:
      return StartSocketServer();
    case Model::kCallbackUnary:
    case Model::kCallbackBidi:
      return StartCallbackServer(config, gate, worker);
    case Model::kQueueUnary:
    case Model::kQueueBidi:
      return StartQueueServer(config, gate, worker);
    case Model::kLossd:
      break;
  }
  return nullptr;
}

}  // namespace

std::unique_ptr<EchoServer> StartSocketServer() {
  return std::make_unique<SocketServer>();
}

void ConfigureBuilder(const ModelConfig& config, grpc::ServerBuilder& builder,
                      int& port) {
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, config.bdp_probe);
  builder.SetMaxReceiveMessageSize(-1);
  builder.SetMaxSendMessageSize(-1);
}

int Serve(const ModelConfig& config) {
  Gate gate(!config.hold);
  Worker worker(config.worker);
  const std::unique_ptr<EchoServer> server = Start(config, gate, worker);
  std::printf("listening on 127.0.0.1:%d\n", server->port());
  std::fflush(stdout);
  for (int c = std::getchar(); c != EOF; c = std::getchar()) {
    if (c == 'g') gate.Open();
  }
  gate.Open();
  return 0;
}

std::unique_ptr<ServerProcess> StartServer(const ModelConfig& config) {
  std::vector<std::string> arguments;
  if (config.model == Model::kLossd) {
    arguments = {config.program, "--listen", "127.0.0.1:0"};
  } else {
    arguments = {kThisProgram, "--serve",
                 std::to_string(static_cast<int>(config.model)),
                 "--poll-threads", std::to_string(config.poll_threads)};
    if (config.worker) arguments.push_back("--worker");
    if (!config.bdp_probe) arguments.push_back("--no-bdp-probe");
    if (config.hold) arguments.push_back("--hold");
  }
  auto server = ServerProcess::Start(arguments);
  if (!server.ok()) {
    std::fprintf(stderr, "%s: %s\n", config.name.c_str(),
                 std::string(server.status().message()).c_str());
    std::exit(1);
  }
  return *std::move(server);
}

}  // namespace lossd::bench
