// lossd: flags -> Options -> Server::Start -> wait for a signal -> drain.
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "server/flags.h"
#include "server/http/http_server.h"
#include "server/rpc/event_log.h"
#include "server/rpc/server.h"

namespace {

// Blocked before any thread starts, so that they all inherit it and a signal
// waits for whoever asks.
sigset_t BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

int CannotStart(const absl::Status& status) {
  std::fprintf(stderr, "lossd: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const sigset_t stop_signals = BlockStopSignals();
  const lossd::Flags flags = lossd::ParseFlags(argc, argv);
  if (flags.exit_code) return *flags.exit_code;
  lossd::rpc::LogToStderr(flags.log_format);
  // HTTP's port is taken before anything is served.
  std::unique_ptr<lossd::http::HttpServer> http;
  if (!flags.http_listen.empty()) {
    auto listening = lossd::http::HttpServer::Listen(
        flags.http_listen, {.body_bytes = flags.http_max_body_bytes});
    if (!listening.ok()) return CannotStart(listening.status());
    http = *std::move(listening);
  }
  auto server = lossd::rpc::Server::Start(flags.options);
  if (!server.ok()) return CannotStart(server.status());
  for (const std::string& address : (*server)->addresses()) {
    std::printf("listening on %s\n", address.c_str());
  }
  if (http != nullptr) {
    http->Serve({.metrics = [&] { return (*server)->MetricsText(); },
                 .is_ready = [&] { return (*server)->is_serving(); },
                 .channel = (*server)->InProcessChannel(),
                 .admission = &(*server)->admission()});
    std::printf("http listening on %s\n", http->address().c_str());
  }
  std::fflush(stdout);
  int signal = 0;
  sigwait(&stop_signals, &signal);
  (*server)->Drain([&] {
    constexpr timespec kAtOnce = {};
    return sigtimedwait(&stop_signals, nullptr, &kAtOnce) > 0;
  });
  // With the server alive: Server::Drain says why.
  std::_Exit(0);
}
