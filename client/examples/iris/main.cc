// Multinomial logistic regression on Fisher's irises: every loss and every
// gradient comes from a running lossd. README.md beside it says what is to be
// seen.
#include <fmt/core.h>

#include <cstdio>
#include <exception>
#include <fstream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "client/examples/iris/dataset.h"
#include "client/examples/iris/model.h"
#include "client/examples/iris/plot.h"
#include "client/lossd/client.h"

namespace lossd::iris {
namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kBadUsage = 2;

struct Flags {
  std::string target = "127.0.0.1:50051";
  std::string data = IRIS_DATA;
  std::string plot;
  double seconds_per_call = 10.0;
};

int Fail(const absl::Status& status, int code) {
  fmt::print(stderr, "iris: {}\n", std::string(status.message()));
  return code;
}

int WritePlot(const std::string& path, const std::vector<double>& deviances,
              double final_deviance) {
  Curve curve = {fmt::format("{:.4f}", final_deviance), {}, deviances};
  for (size_t i = 1; i <= deviances.size(); ++i) {
    curve.x.push_back(static_cast<double>(i));
  }
  std::ofstream stream(path);
  stream << LogPlotSvg(
      {"Softmax regression on 150 irises, losses and "
       "gradients from lossd",
       "iteration of L-BFGS",
       "residual deviance (nats, log scale)",
       {curve}});
  stream.close();
  if (!stream) {
    return Fail(absl::UnknownError(path + ": cannot be written"), kFailed);
  }
  fmt::print("training curve {}\n", path);
  return kDone;
}

int RunIris(const Flags& flags) {
  auto dataset = ReadDataset(flags.data);
  if (!dataset.ok()) return Fail(dataset.status(), kBadUsage);
  const absl::Status status = Whiten(&*dataset);
  if (!status.ok()) return Fail(status, kBadUsage);
  ClientOptions options;
  options.target = flags.target;
  const auto client = Client::Connect(options);
  if (!client.ok()) return Fail(client.status(), kBadUsage);

  fmt::print("{} flowers, {} features, {} species; lossd at {}\n",
             dataset->rows, dataset->features, dataset->class_names.size(),
             flags.target);
  fmt::print("iteration  deviance     |gradient|   calls\n");
  std::vector<double> deviances;
  const auto fit =
      FitModel(*client, *dataset, flags.seconds_per_call,
               [&deviances](const Iteration& iteration) {
                 deviances.push_back(iteration.deviance);
                 fmt::print("{:9}  {:<11.6f}  {:<11.3e}  {:5}\n",
                            iteration.number, iteration.deviance,
                            iteration.gradient_norm, iteration.calls);
               });
  if (!fit.ok()) return Fail(fit.status(), kFailed);

  const double share = 100.0 * static_cast<double>(fit->correct_count) /
                       static_cast<double>(dataset->rows);
  fmt::print("accuracy {} of {} ({:.2f} %)\n", fit->correct_count,
             dataset->rows, share);
  fmt::print("residual deviance {:.6f}\n", fit->deviance);
  if (flags.plot.empty() || deviances.empty()) return kDone;
  return WritePlot(flags.plot, deviances, fit->deviance);
}

int ParseAndRun(int argc, char** argv) {
  Flags flags;
  CLI::App app(
      "Multinomial logistic regression on Fisher's irises; every loss and "
      "gradient comes from lossd");
  app.add_option("--target", flags.target, "The server: HOST:PORT or unix:PATH")
      ->envname("LOSSD_TARGET")
      ->capture_default_str();
  app.add_option("--data", flags.data, "The flowers, CSV, the species last")
      ->capture_default_str();
  app.add_option("--plot", flags.plot,
                 "Draw the training curve into this SVG file");
  app.add_option("--timeout", flags.seconds_per_call,
                 "The most time for each call, in seconds")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kBadUsage;
  }
  return RunIris(flags);
}

}  // namespace
}  // namespace lossd::iris

int main(int argc, char** argv) {
  try {
    return lossd::iris::ParseAndRun(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "iris: %s\n", error.what());
    return 1;
  }
}
