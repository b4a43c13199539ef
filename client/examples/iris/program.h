#ifndef LOSSD_CLIENT_EXAMPLES_IRIS_PROGRAM_H_
#define LOSSD_CLIENT_EXAMPLES_IRIS_PROGRAM_H_

#include <functional>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/examples/iris/dataset.h"
#include "client/examples/iris/plot.h"
#include "client/lossd/client.h"

namespace lossd::iris {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kBadUsage = 2;

// What the command lines of the iris examples have in common: --target, --data,
// --plot and --timeout, and how errors are told.
class Program {
 public:
  // `picture` says what --plot draws.
  Program(std::string name, const std::string& about,
          const std::string& picture);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // For flags of the program's own.
  CLI::App& app() { return app_; }

  // As parsed.
  const std::string& target() const { return target_; }
  double seconds_per_call() const { return seconds_per_call_; }
  bool wants_plot() const { return !plot_.empty(); }

  // Parses the command line and returns what `run` does: the exit code.
  int Main(int argc, char** argv,
           const std::function<int(const Dataset&, const Client&)>& run);

  // Writes the picture to --plot's file. `what` names it on the output.
  int WritePlot(const Plot& plot, const std::string& what) const;

  // Prints the error and returns `code`.
  int Fail(const absl::Status& status, int code) const;

 private:
  const std::string name_;
  CLI::App app_;
  std::string target_ = "127.0.0.1:50051";
  std::string data_ = IRIS_DATA;
  std::string plot_;
  double seconds_per_call_ = 10.0;
};

}  // namespace lossd::iris

#endif  // LOSSD_CLIENT_EXAMPLES_IRIS_PROGRAM_H_
