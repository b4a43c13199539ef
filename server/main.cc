// lossd: flags -> Options -> Server::Start -> wait for a signal -> drain.
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "server/flags.h"
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

void LogToStderr() {
  auto log = spdlog::stderr_logger_mt("lossd");
  log->set_pattern("time=%Y-%m-%dT%H:%M:%S.%e%z level=%l %v");
  spdlog::set_default_logger(log);
}

}  // namespace

int main(int argc, char** argv) {
  const sigset_t stop_signals = BlockStopSignals();
  const lossd::Flags flags = lossd::ParseFlags(argc, argv);
  if (flags.exit_code) return *flags.exit_code;
  LogToStderr();
  auto server = lossd::rpc::Server::Start(flags.options);
  if (!server.ok()) {
    std::fprintf(stderr, "lossd: %s\n",
                 std::string(server.status().message()).c_str());
    return 1;
  }
  for (const std::string& address : (*server)->addresses()) {
    std::printf("listening on %s\n", address.c_str());
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
