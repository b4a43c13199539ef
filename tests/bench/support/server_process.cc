#include "tests/bench/support/server_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace lossd::bench {

ServerProcess::ServerProcess(const std::vector<std::string>& arguments)
    : name_(arguments.front()) {
  // One that has ended shows in what it is asked next.
  signal(SIGPIPE, SIG_IGN);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  int in[2];
  int out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) std::abort();
  stderr_ = memfd_create("server's stderr", MFD_CLOEXEC);
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    dup2(stderr_, STDERR_FILENO);
    execv(argv.front(), argv.data());
    std::perror(argv.front());
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  stdin_ = in[1];
  stdout_ = fdopen(out[0], "r");
}

ServerProcess::~ServerProcess() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  std::fclose(stdout_);
  close(stdin_);
  close(stderr_);
}

absl::StatusOr<std::unique_ptr<ServerProcess>> ServerProcess::Start(
    const std::vector<std::string>& arguments, int addresses) {
  constexpr std::string_view kStart = "listening on ";
  std::unique_ptr<ServerProcess> process(new ServerProcess(arguments));
  for (int i = 0; i < addresses;) {
    auto line = process->ReadLine();
    if (!line.ok()) return line.status();
    if (!line->starts_with(kStart)) continue;
    process->addresses_.push_back(line->substr(kStart.size()));
    ++i;
  }
  return process;
}

absl::Status ServerProcess::Send(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(stdin_, text.data(), text.size());
    if (written <= 0) return Ended();
    text.remove_prefix(written);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ServerProcess::ReadLine() {
  char* buffer = nullptr;
  size_t size = 0;
  const ssize_t length = getline(&buffer, &size, stdout_);
  std::string line(buffer == nullptr || length < 0 ? "" : buffer);
  std::free(buffer);
  if (length < 0) return Ended();
  if (!line.empty() && line.back() == '\n') line.pop_back();
  return line;
}

absl::Status ServerProcess::Ended() const {
  constexpr off_t kShown = 500;
  const off_t size = lseek(stderr_, 0, SEEK_END);
  std::string text(kShown, '\0');
  const off_t from = size > kShown ? size - kShown : 0;
  const ssize_t bytes = pread(stderr_, text.data(), text.size(), from);
  text.resize(bytes < 0 ? 0 : bytes);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  text.erase(0, text.rfind('\n') + 1);
  return absl::UnavailableError(
      absl::StrCat(name_, " ended: ", text.empty() ? "no message" : text));
}

double ServerProcess::ResidentMib() const { return StatusMib("VmRSS:"); }

double ServerProcess::PeakResidentMib() const { return StatusMib("VmHWM:"); }

double ServerProcess::StatusMib(const std::string& name) const {
  std::ifstream status(absl::StrCat("/proc/", pid_, "/status"));
  std::string word;
  while (status >> word && word != name) {
  }
  double kib = 0;
  status >> kib;
  return kib / 1024;
}

}  // namespace lossd::bench
