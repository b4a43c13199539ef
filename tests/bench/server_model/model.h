// The server models under comparison, each an echo on the real service's path.
#ifndef LOSSD_TESTS_BENCH_SERVER_MODEL_MODEL_H_
#define LOSSD_TESTS_BENCH_SERVER_MODEL_MODEL_H_

#include <string>

namespace lossd::bench {

// The path that every model serves and every client calls.
inline constexpr char kEchoPath[] = "/lossd.v1.LossService/ComputeLoss";

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

// Serves `config` on a port of 127.0.0.1, prints the port as a line on stdout,
// opens the gate at a 'g' on stdin, and ends at its end. Returns the exit code.
int Serve(const ModelConfig& config);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_SERVER_MODEL_MODEL_H_
