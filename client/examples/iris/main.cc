// Multinomial logistic regression on Fisher's irises: every loss and every
// gradient comes from a running lossd. README.md beside it says what is to be
// seen.
#include <fmt/format.h>

#include <vector>

#include "client/examples/iris/dataset.h"
#include "client/examples/iris/model.h"
#include "client/examples/iris/program.h"
#include "client/lossd/client.h"

namespace lossd::iris {
namespace {

int Run(const Program& program, Dataset dataset, const Client& client) {
  const absl::Status status = Whiten(&dataset);
  if (!status.ok()) return program.Fail(status, kBadUsage);
  fmt::print("{} flowers, {} features, {} species; lossd at {}\n", dataset.rows,
             dataset.features, dataset.class_names.size(), program.target());
  fmt::print("iteration  deviance     |gradient|   calls\n");
  Curve deviances;
  const auto fit =
      FitModel(client, dataset, program.seconds_per_call(),
               [&deviances](const Iteration& iteration) {
                 deviances.x.push_back(iteration.number);
                 deviances.y.push_back(iteration.deviance);
                 fmt::print("{:9}  {:<11.6f}  {:<11.3e}  {:5}\n",
                            iteration.number, iteration.deviance,
                            iteration.gradient_norm, iteration.calls);
               });
  if (!fit.ok()) return program.Fail(fit.status(), kFailed);

  const double share = 100.0 * static_cast<double>(fit->correct_count) /
                       static_cast<double>(dataset.rows);
  fmt::print("accuracy {} of {} ({:.2f} %)\n", fit->correct_count, dataset.rows,
             share);
  fmt::print("residual deviance {:.6f}\n", fit->deviance);
  if (!program.wants_plot() || deviances.x.empty()) return kDone;
  deviances.name = fmt::format("{:.4f}", fit->deviance);
  return program.WritePlot(
      {"Softmax regression on 150 irises, losses and gradients from lossd",
       "iteration of L-BFGS",
       "residual deviance (nats, log scale)",
       {deviances}},
      "training curve");
}

}  // namespace
}  // namespace lossd::iris

int main(int argc, char** argv) {
  lossd::iris::Program program(
      "iris",
      "Multinomial logistic regression on Fisher's irises; every loss and "
      "gradient comes from lossd",
      "the training curve");
  return program.Main(argc, argv, [&](const auto& dataset, const auto& client) {
    return lossd::iris::Run(program, dataset, client);
  });
}
