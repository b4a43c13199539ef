// An echo server in a process of its own.
#ifndef LOSSD_TESTS_BENCH_SERVER_MODEL_SERVER_PROCESS_H_
#define LOSSD_TESTS_BENCH_SERVER_MODEL_SERVER_PROCESS_H_

#include <sys/types.h>

#include "tests/bench/server_model/model.h"

namespace lossd::bench {

// This program, run again to serve `config`, or the real lossd; killed when
// destroyed. A process of its own, since gRPC shares its pollers within one.
class ServerProcess {
 public:
  explicit ServerProcess(const ModelConfig& config);
  ~ServerProcess();

  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  int port() const { return port_; }

  // Lets handlers that wait at the gate go on.
  void OpenGate();

  // Resident memory in MiB.
  double ResidentMib() const;

 private:
  pid_t pid_ = -1;
  int stdin_ = -1;
  int port_ = 0;
};

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_SERVER_MODEL_SERVER_PROCESS_H_
