// The gRPC servers behind Serve.
#ifndef LOSSD_TESTS_BENCH_SERVER_MODEL_ECHO_SERVER_H_
#define LOSSD_TESTS_BENCH_SERVER_MODEL_ECHO_SERVER_H_

#include <memory>

#include "tests/bench/server_model/model.h"
#include "tests/bench/support/handover.h"

namespace lossd::bench {

// A running echo server; stops serving when destroyed.
class EchoServer {
 public:
  virtual ~EchoServer() = default;
  // The port of 127.0.0.1 it listens on.
  virtual int port() const = 0;
};

// Each starts a server of its model. `gate` and `worker` outlive it.
std::unique_ptr<EchoServer> StartCallbackServer(const ModelConfig& config,
                                                Gate& gate, Worker& worker);
std::unique_ptr<EchoServer> StartQueueServer(const ModelConfig& config,
                                             Gate& gate, Worker& worker);
std::unique_ptr<EchoServer> StartSocketServer();

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_SERVER_MODEL_ECHO_SERVER_H_
