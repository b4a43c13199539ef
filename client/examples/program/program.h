#ifndef LOSSD_CLIENT_EXAMPLES_PROGRAM_PROGRAM_H_
#define LOSSD_CLIENT_EXAMPLES_PROGRAM_PROGRAM_H_

#include <functional>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "client/flags/target.h"
#include "client/lossd/client.h"

namespace lossd::examples {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kBadUsage = 2;

// What the command lines of the examples have in common: --target with TLS,
// --timeout, and how errors are told.
class Program {
 public:
  Program(std::string name, const std::string& about);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // For flags of the program's own.
  CLI::App& app() { return app_; }

  // As parsed.
  const std::string& target() const { return server_.target; }
  double seconds_per_call() const { return seconds_per_call_; }

  // Parses the command line and returns what `run` does: the exit code.
  int Main(int argc, char** argv, const std::function<int(const Client&)>& run);

  // Prints the error and returns `code`.
  int Fail(const absl::Status& status, int code) const;

 private:
  const std::string name_;
  CLI::App app_;
  TargetFlags server_;
  double seconds_per_call_ = 10.0;
};

}  // namespace lossd::examples

#endif  // LOSSD_CLIENT_EXAMPLES_PROGRAM_PROGRAM_H_
