#ifndef LOSSD_CLIENT_EXAMPLES_IRIS_PROGRAM_H_
#define LOSSD_CLIENT_EXAMPLES_IRIS_PROGRAM_H_

#include <functional>
#include <string>

#include "client/examples/iris/dataset.h"
#include "client/examples/iris/plot.h"
#include "client/examples/program/program.h"
#include "client/lossd/client.h"

namespace lossd::iris {

using examples::kBadUsage;
using examples::kDone;
using examples::kFailed;

// The command line of an example on the irises: --data and --plot, too.
class Program : public examples::Program {
 public:
  // `picture` says what --plot draws.
  Program(std::string name, const std::string& about,
          const std::string& picture);

  bool wants_plot() const { return !plot_.empty(); }

  // Parses the command line, reads the flowers and returns what `run` does: the
  // exit code.
  int Main(int argc, char** argv,
           const std::function<int(const Dataset&, const Client&)>& run);

  // Writes the picture to --plot's file. `what` names it on the output.
  int WritePlot(const Plot& plot, const std::string& what) const;

 private:
  std::string data_ = IRIS_DATA;
  std::string plot_;
};

}  // namespace lossd::iris

#endif  // LOSSD_CLIENT_EXAMPLES_IRIS_PROGRAM_H_
