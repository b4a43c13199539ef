// A server in a process of its own.
#ifndef LOSSD_TESTS_BENCH_SUPPORT_SERVER_PROCESS_H_
#define LOSSD_TESTS_BENCH_SUPPORT_SERVER_PROCESS_H_

#include <sys/types.h>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace lossd::bench {

// This program's own file, to be run again as a server: a process of its own,
// since gRPC shares its pollers within one.
inline constexpr char kThisProgram[] = "/proc/self/exe";

// A program that prints "listening on ADDRESS" for each address it serves; it
// is killed when this is destroyed or this process ends.
class ServerProcess {
 public:
  // Runs `arguments`, the program's path first, until it listens on `addresses`
  // addresses.
  // Errors: Unavailable: it ended before; the last line of its stderr.
  static absl::StatusOr<std::unique_ptr<ServerProcess>> Start(
      const std::vector<std::string>& arguments, int addresses = 1);
  ~ServerProcess();

  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // As it printed them, in its order.
  const std::vector<std::string>& addresses() const { return addresses_; }

  // Writes `text` to its stdin.
  // Errors: Unavailable: it has ended.
  absl::Status Send(std::string_view text);

  // The next line of its stdout, without the line's end.
  // Errors: Unavailable: it has ended.
  absl::StatusOr<std::string> ReadLine();

  // Resident memory in MiB: now, and the most there was.
  double ResidentMib() const;
  double PeakResidentMib() const;

 private:
  explicit ServerProcess(const std::vector<std::string>& arguments);

  absl::Status Ended() const;
  // The KiB that /proc/PID/status has at `name`, in MiB.
  double StatusMib(const std::string& name) const;

  const std::string name_;
  pid_t pid_ = -1;
  int stdin_ = -1;
  int stderr_ = -1;  // unnamed file
  FILE* stdout_ = nullptr;
  std::vector<std::string> addresses_;
};

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_SUPPORT_SERVER_PROCESS_H_
