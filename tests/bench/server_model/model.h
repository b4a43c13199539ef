// The server models under comparison, each an echo on the real service's path.
#ifndef LOSSD_TESTS_BENCH_SERVER_MODEL_MODEL_H_
#define LOSSD_TESTS_BENCH_SERVER_MODEL_MODEL_H_

#include <memory>
#include <string>

#include "tests/bench/support/server_process.h"

namespace lossd::bench {

// Where requests are read, and by whose threads.
enum class Model {
  kSocket,  // no gRPC: blocking reads and writes; the machine's own floor
  kCallbackUnary,  // callback API, raw unary method
  kCallbackBidi,   // callback API, generic bidirectional reactor
  kQueueUnary,     // completion queue, raw unary method
  kQueueBidi,      // completion queue, raw method registered as bidirectional
  kLossd,          // the real server, which computes
};

// One row of the comparison.
struct ModelConfig {
  std::string name;
  Model model = Model::kSocket;
  int poll_threads = 1;      // completion queue models only
  bool worker = false;       // answers come from a worker thread, not gRPC's
  bool bdp_probe = true;     // gRPC widens flow control windows by itself
  std::string program = {};  // kLossd only: the binary
  bool hold = false;         // handlers wait for 'g' on stdin before they read
};

// Serves `config` on a port of 127.0.0.1, prints "listening on ADDRESS" on
// stdout, opens the gate at a 'g' on stdin, and ends at its end. Returns the
// exit code.
int Serve(const ModelConfig& config);

// This program, run again to serve `config`, or the real lossd.
// Errors: a server that does not start ends the program.
std::unique_ptr<ServerProcess> StartServer(const ModelConfig& config);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_SERVER_MODEL_MODEL_H_
