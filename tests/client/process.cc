#include "tests/client/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace lossd::testing {
namespace {

// Starts a process with stdout and stderr going to the descriptors; -1 leaves
// the stream as it is here.
pid_t Spawn(std::vector<std::string> arguments, int out, int err) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (out >= 0) posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  if (err >= 0) posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
  pid_t pid = -1;
  const int error =
      posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("cannot start " + arguments[0]);
  return pid;
}

int WaitFor(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string ReadWhole(std::FILE* file) {
  std::rewind(file);
  std::string contents;
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) {
    contents.push_back(static_cast<char>(c));
  }
  return contents;
}

}  // namespace

// Files, not pipes: a pipe that nobody reads yet would stop a talkative
// process.
ProcessResult RunProcess(const std::vector<std::string>& arguments) {
  std::FILE* out = std::tmpfile();
  std::FILE* err = std::tmpfile();
  ProcessResult result;
  result.exit_code = WaitFor(Spawn(arguments, fileno(out), fileno(err)));
  result.out = ReadWhole(out);
  result.err = ReadWhole(err);
  std::fclose(out);
  std::fclose(err);
  return result;
}

ServerProcess::ServerProcess(const std::string& binary,
                             const std::string& address,
                             const std::vector<std::string>& flags) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  std::vector<std::string> arguments = {binary, "--listen", address};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  pid_ = Spawn(std::move(arguments), ends[1], -1);
  close(ends[1]);
  std::FILE* out = fdopen(ends[0], "r");
  char line[512] = "";
  const std::string wanted = "listening on ";
  while (std::fgets(line, sizeof(line), out) != nullptr) {
    const std::string text(line);
    if (!text.starts_with(wanted)) continue;
    target_ = text.substr(wanted.size(), text.find('\n') - wanted.size());
    break;
  }
  std::fclose(out);
  if (target_.empty()) {
    Kill();
    throw std::runtime_error("no server at " + address);
  }
}

ServerProcess::~ServerProcess() { Kill(); }

void ServerProcess::Kill() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  WaitFor(pid_);
  pid_ = -1;
}

TestDirectory::TestDirectory() {
  std::string pattern =
      (std::filesystem::temp_directory_path() / "lossd_test_XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) {
    throw std::runtime_error("no directory " + pattern);
  }
  path_ = pattern;
}

TestDirectory::~TestDirectory() { std::filesystem::remove_all(path_); }

void TestDirectory::Write(const std::string& name,
                          const std::string& bytes) const {
  std::ofstream(Path(name), std::ios::binary) << bytes;
}

std::string TestDirectory::Read(const std::string& name) const {
  std::ostringstream contents;
  contents << std::ifstream(Path(name), std::ios::binary).rdbuf();
  return contents.str();
}

std::vector<std::string> TestDirectory::Names() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace lossd::testing
