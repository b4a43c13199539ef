#include "client/examples/iris/program.h"

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <fstream>
#include <utility>

#include "client/flags/seconds.h"

namespace lossd::iris {

Program::Program(std::string name, const std::string& about,
                 const std::string& picture)
    : name_(std::move(name)), app_(about) {
  app_.add_option("--target", target_, "The server: HOST:PORT or unix:PATH")
      ->envname("LOSSD_TARGET")
      ->capture_default_str();
  app_.add_option("--data", data_, "The flowers, CSV, the species last")
      ->capture_default_str();
  app_.add_option("--plot", plot_, "Draw " + picture + " into this SVG file");
  app_.add_option("--timeout", seconds_per_call_,
                  "The most time for each call, in seconds")
      ->check(SecondsCheck())
      ->capture_default_str();
}

int Program::Main(
    int argc, char** argv,
    const std::function<int(const Dataset&, const Client&)>& run) try {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app_.exit(error) == 0 ? kDone : kBadUsage;
  }
  const auto dataset = ReadDataset(data_);
  if (!dataset.ok()) return Fail(dataset.status(), kBadUsage);
  ClientOptions options;
  options.target = target_;
  const auto client = Client::Connect(options);
  if (!client.ok()) return Fail(client.status(), kBadUsage);
  return run(*dataset, *client);
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s: %s\n", name_.c_str(), error.what());
  return kFailed;
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

int Program::Fail(const absl::Status& status, int code) const {
  fmt::print(stderr, "{}: {}\n", name_, std::string(status.message()));
  return code;
}

}  // namespace lossd::iris
