#include "tests/bench/server_model/server_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace lossd::bench {
namespace {

[[noreturn]] void RunServer(const ModelConfig& config, int in, int out) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  if (config.model == Model::kLossd) {
    const int quiet = open("/dev/null", O_WRONLY);
    dup2(quiet, STDERR_FILENO);
    execl(config.program.c_str(), "lossd", "--listen", "127.0.0.1:0", nullptr);
    _exit(127);
  }
  const std::string model = std::to_string(static_cast<int>(config.model));
  const std::string polls = std::to_string(config.poll_threads);
  std::vector<const char*> arguments = {"bench_server_model", "--serve",
                                        model.c_str(), "--poll-threads",
                                        polls.c_str()};
  if (config.worker) arguments.push_back("--worker");
  if (!config.bdp_probe) arguments.push_back("--no-bdp-probe");
  if (config.hold) arguments.push_back("--hold");
  arguments.push_back(nullptr);
  execv("/proc/self/exe", const_cast<char* const*>(arguments.data()));
  _exit(127);
}

}  // namespace

ServerProcess::ServerProcess(const ModelConfig& config) {
  int in[2];
  int out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) std::abort();
  pid_ = fork();
  if (pid_ == 0) RunServer(config, in[0], out[1]);
  close(in[0]);
  close(out[1]);
  stdin_ = in[1];
  FILE* lines = fdopen(out[0], "r");
  const char* const line =
      config.model == Model::kLossd ? "listening on 127.0.0.1:%d" : "%d";
  if (std::fscanf(lines, line, &port_) != 1) {
    std::fprintf(stderr, "%s: the server did not start\n", config.name.c_str());
    std::exit(1);
  }
  std::fclose(lines);
}

ServerProcess::~ServerProcess() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  close(stdin_);
}

void ServerProcess::OpenGate() {
  if (write(stdin_, "g", 1) != 1) std::perror("gate");
}

double ServerProcess::ResidentMib() const {
  std::ifstream statm("/proc/" + std::to_string(pid_) + "/statm");
  double all = 0;
  double resident = 0;
  statm >> all >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

}  // namespace lossd::bench
