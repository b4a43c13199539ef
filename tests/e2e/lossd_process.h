// The lossd binary, run as a user runs it.
#ifndef LOSSD_TESTS_E2E_LOSSD_PROCESS_H_
#define LOSSD_TESTS_E2E_LOSSD_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lossd {

// A running lossd, killed when destroyed. Not thread-safe.
class LossdProcess {
 public:
  using Strings = std::vector<std::string>;

  // Starts lossd with `arguments`; `environment` ("NAME=value") is added to
  // this process's own, of which LOSSD_... variables are left out.
  explicit LossdProcess(const Strings& arguments,
                        const Strings& environment = {});
  ~LossdProcess();

  LossdProcess(const LossdProcess&) = delete;
  LossdProcess& operator=(const LossdProcess&) = delete;

  // Waits for a line that begins with `start` and returns the rest, an address;
  // empty when stdout ends first. Lines before it are not looked at again.
  std::string WaitForAddress(std::string_view start = "listening on ");
  std::string WaitForHttpAddress() {
    return WaitForAddress("http listening on ");
  }

  void Signal(int signal);

  // Waits for the end and returns the exit code; the negative signal when
  // killed by one. A lossd that does not end within a minute is killed.
  int WaitForExit();

  // Everything written so far; everything at all after WaitForExit.
  std::string Stdout();
  std::string Stderr() const;

  int64_t ResidentBytes() const;
  // The most there ever were.
  int64_t PeakResidentBytes() const;

 private:
  // Reads more of stdout; false at its end.
  bool ReadStdout();

  pid_t pid_ = -1;
  int stdout_ = -1;  // pipe
  int stderr_ = -1;  // unnamed file
  std::string stdout_text_;
  size_t next_line_ = 0;  // where WaitForAddress goes on
};

// What became of a lossd that ends by itself.
struct Outcome {
  int exit_code = 0;
  std::string out;
  std::string err;
};
Outcome RunToEnd(const LossdProcess::Strings& arguments,
                 const LossdProcess::Strings& environment = {});

}  // namespace lossd

#endif  // LOSSD_TESTS_E2E_LOSSD_PROCESS_H_
