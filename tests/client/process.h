#ifndef LOSSD_TESTS_CLIENT_PROCESS_H_
#define LOSSD_TESTS_CLIENT_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace lossd::testing {

struct ProcessResult {
  int exit_code = -1;  // 128 + the signal's number when one ended it
  std::string out;
  std::string err;
};

// Runs `arguments[0]` with the rest as its arguments and waits for its end.
ProcessResult RunProcess(const std::vector<std::string>& arguments);

// A lossd of its own process, listening when the constructor returns.
class ServerProcess {
 public:
  // `flags` are added to --listen.
  explicit ServerProcess(const std::string& binary,
                         const std::string& address = "127.0.0.1:0",
                         const std::vector<std::string>& flags = {});
  // Kills it when it still runs.
  ~ServerProcess();

  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // What it printed after "listening on".
  const std::string& target() const { return target_; }
  // Ends it as kill -9 does, and waits until it is gone.
  void Kill();

 private:
  pid_t pid_ = -1;
  std::string target_;
};

// A directory for this test alone, empty at first, removed at the end.
class TestDirectory {
 public:
  TestDirectory();
  ~TestDirectory();

  std::string Path(const std::string& name) const { return path_ + "/" + name; }
  void Write(const std::string& name, const std::string& bytes) const;
  std::string Read(const std::string& name) const;
  // The names of the files there, sorted.
  std::vector<std::string> Names() const;

 private:
  std::string path_;
};

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_CLIENT_PROCESS_H_
