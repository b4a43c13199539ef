#include "tests/e2e/lossd_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string_view>

namespace lossd {
namespace {

constexpr int kPatienceMs = 60'000;

std::vector<char*> Pointers(LossdProcess::Strings& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

LossdProcess::Strings EnvironmentWith(const LossdProcess::Strings& more) {
  // The memory bounds of these tests leave no room for AddressSanitizer's usual
  // store of freed blocks.
  LossdProcess::Strings all = {"ASAN_OPTIONS=quarantine_size_mb=8"};
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (text.rfind("LOSSD_", 0) == 0 || text.rfind("ASAN_OPTIONS=", 0) == 0) {
      continue;
    }
    all.emplace_back(text);
  }
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

pid_t Spawn(const LossdProcess::Strings& arguments,
            const LossdProcess::Strings& environment, int out, int err) {
  LossdProcess::Strings argument_texts = {LOSSD_BINARY};
  argument_texts.insert(argument_texts.end(), arguments.begin(),
                        arguments.end());
  LossdProcess::Strings environment_texts = EnvironmentWith(environment);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
  pid_t pid = -1;
  if (posix_spawn(&pid, LOSSD_BINARY, &actions, nullptr,
                  Pointers(argument_texts).data(),
                  Pointers(environment_texts).data()) != 0) {
    std::abort();
  }
  posix_spawn_file_actions_destroy(&actions);
  return pid;
}

}  // namespace

LossdProcess::LossdProcess(const Strings& arguments,
                           const Strings& environment) {
  int out[2];
  if (pipe2(out, O_CLOEXEC) != 0) std::abort();
  stdout_ = out[0];
  stderr_ = memfd_create("lossd stderr", MFD_CLOEXEC);
  pid_ = Spawn(arguments, environment, out[1], stderr_);
  close(out[1]);
}

LossdProcess::~LossdProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(stdout_);
  close(stderr_);
}

std::string LossdProcess::WaitForAddress(std::string_view start) {
  do {
    const size_t end = stdout_text_.find('\n', next_line_);
    if (end == std::string::npos) continue;
    const std::string line = stdout_text_.substr(next_line_, end - next_line_);
    next_line_ = end + 1;
    if (line.rfind(start, 0) == 0) return line.substr(start.size());
  } while (stdout_text_.find('\n', next_line_) != std::string::npos ||
           ReadStdout());
  return "";
}

bool LossdProcess::ReadStdout() {
  pollfd readable{stdout_, POLLIN, 0};
  if (poll(&readable, 1, kPatienceMs) != 1) return false;
  char buffer[4096];
  const ssize_t bytes = read(stdout_, buffer, sizeof(buffer));
  if (bytes <= 0) return false;
  stdout_text_.append(buffer, bytes);
  return true;
}

void LossdProcess::Signal(int signal) { kill(pid_, signal); }

int LossdProcess::WaitForExit() {
  const int handle = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  pollfd ended{handle, POLLIN, 0};
  if (poll(&ended, 1, kPatienceMs) != 1) kill(pid_, SIGKILL);
  close(handle);
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::string LossdProcess::Stdout() {
  if (pid_ < 0) {
    while (ReadStdout()) {
    }
  }
  return stdout_text_;
}

std::string LossdProcess::Stderr() const {
  std::string text;
  char buffer[4096];
  ssize_t bytes = 0;
  while ((bytes = pread(stderr_, buffer, sizeof(buffer),
                        static_cast<off_t>(text.size()))) > 0) {
    text.append(buffer, bytes);
  }
  return text;
}

int64_t LossdProcess::ResidentBytes() const {
  std::ifstream statm("/proc/" + std::to_string(pid_) + "/statm");
  int64_t all_pages = 0;
  int64_t resident_pages = 0;
  statm >> all_pages >> resident_pages;
  return resident_pages * sysconf(_SC_PAGESIZE);
}

int64_t LossdProcess::PeakResidentBytes() const {
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  for (std::string word; status >> word;) {
    if (word != "VmHWM:") continue;
    int64_t kib = 0;
    status >> kib;
    return kib * 1024;
  }
  return 0;
}

Outcome RunToEnd(const LossdProcess::Strings& arguments,
                 const LossdProcess::Strings& environment) {
  LossdProcess lossd(arguments, environment);
  Outcome outcome;
  outcome.exit_code = lossd.WaitForExit();
  outcome.out = lossd.Stdout();
  outcome.err = lossd.Stderr();
  return outcome;
}

}  // namespace lossd
