#include "client/examples/iris/program.h"

#include <fmt/format.h>

#include <fstream>
#include <utility>

namespace lossd::iris {

Program::Program(std::string name, const std::string& about,
                 const std::string& picture)
    : examples::Program(std::move(name), about) {
  app()
      .add_option("--data", data_, "The flowers, CSV, the species last")
      ->capture_default_str();
  app().add_option("--plot", plot_, "Draw " + picture + " into this SVG file");
}

int Program::Main(
    int argc, char** argv,
    const std::function<int(const Dataset&, const Client&)>& run) {
  return examples::Program::Main(argc, argv, [&](const Client& client) {
    const auto dataset = ReadDataset(data_);
    if (!dataset.ok()) return Fail(dataset.status(), kBadUsage);
    return run(*dataset, client);
  });
}

int Program::WritePlot(const Plot& plot, const std::string& what) const {
  std::ofstream stream(plot_);
  stream << LogPlotSvg(plot);
  stream.close();
  if (!stream) {
    return Fail(absl::UnknownError(plot_ + ": cannot be written"), kFailed);
  }
  fmt::print("{} {}\n", what, plot_);
  return kDone;
}

}  // namespace lossd::iris
