// Newton's method on Fisher's irises: the loss, its gradient and its Hessian
// times a vector come from a running lossd. README.md beside it says what is to
// be seen.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "client/examples/iris/dataset.h"
#include "client/examples/iris/plot.h"
#include "client/examples/iris/program.h"
#include "client/examples/iris_newton/newton.h"
#include "client/examples/iris_newton/weighted_loss.h"
#include "client/examples/program/lbfgs.h"
#include "client/lossd/client.h"

namespace lossd::iris {
namespace {

// L-BFGS is asked for more than its line search can tell apart: it ends where
// rounding ends it.
constexpr double kNewtonTolerance = 1e-13;
constexpr double kLbfgsTolerance = 1e-12;

struct Flags {
  std::vector<double> class_weights = {1.0, 2.0, 3.0};
  double label_smoothing = 0.1;
};

// Where an optimizer ended, and the way there.
struct Run {
  std::vector<double> parameters;
  double loss = 0.0;
  int64_t correct_count = 0;
  int calls = 0;
  Curve norms;  // of the gradient, by calls
};

void Note(const examples::Step& step, const WeightedLoss& loss, Run* run) {
  run->loss = step.value;
  run->correct_count = loss.correct_count();
  run->calls = loss.calls();
  run->norms.x.push_back(loss.calls());
  run->norms.y.push_back(step.gradient_norm);
}

absl::StatusOr<Run> RunNewton(WeightedLoss loss) {
  Run run;
  run.norms.name = "Newton";
  fmt::print("step  loss                |gradient|  products  calls\n");
  auto parameters = MinimizeByNewton(
      [&](auto x, auto gradient) { return loss.Value(x, gradient); },
      [&](auto x, auto vector, auto product) {
        return loss.HessianProduct(x, vector, product);
      },
      loss.parameters(), kNewtonTolerance,
      [&](const NewtonStep& newton) {
        const examples::Step& step = newton.step;
        Note(step, loss, &run);
        fmt::print("{:4}  {:.16f}  {:<10.3e}  {:8}  {:5}\n", step.number,
                   step.value, step.gradient_norm, newton.products,
                   loss.calls());
      });
  if (!parameters.ok()) return parameters.status();
  run.parameters = *std::move(parameters);
  return run;
}

absl::StatusOr<Run> RunLbfgs(WeightedLoss loss) {
  Run run;
  run.norms.name = "L-BFGS";
  auto parameters = examples::MinimizeByLbfgs(
      [&](auto x, auto gradient) { return loss.Value(x, gradient); },
      loss.parameters(), kLbfgsTolerance,
      [&](const examples::Step& step) {
        Note(step, loss, &run);
        return true;
      });
  if (!parameters.ok()) return parameters.status();
  run.parameters = *std::move(parameters);
  run.calls = loss.calls();
  return run;
}

int RunBoth(const Program& program, const Flags& flags, Dataset dataset,
            const Client& client) {
  const absl::Status status = Whiten(&dataset);
  if (!status.ok()) return program.Fail(status, kBadUsage);
  const WeightedLoss loss(client, dataset,
                          {.label_smoothing = flags.label_smoothing,
                           .class_weights = flags.class_weights},
                          program.seconds_per_call());
  fmt::print("{} flowers, class weights {}, label smoothing {}; lossd at {}\n",
             dataset.rows, fmt::join(flags.class_weights, " "),
             flags.label_smoothing, program.target());
  const auto newton = RunNewton(loss);
  if (!newton.ok()) return program.Fail(newton.status(), kFailed);
  const auto lbfgs = RunLbfgs(loss);
  if (!lbfgs.ok()) return program.Fail(lbfgs.status(), kFailed);

  double apart = 0.0;
  for (size_t i = 0; i < newton->parameters.size(); ++i) {
    apart =
        std::max(apart, std::abs(newton->parameters[i] - lbfgs->parameters[i]));
  }
  fmt::print(
      "L-BFGS: loss {:.16f} after {} calls; parameters at most {:.1e} "
      "from Newton's\n",
      lbfgs->loss, lbfgs->calls, apart);
  fmt::print("accuracy {} of {}\n", newton->correct_count, dataset.rows);
  fmt::print("loss {:.16f}\n", newton->loss);
  if (!program.wants_plot()) return kDone;
  return program.WritePlot(
      {"Two optimizers on 150 irises, all derivatives from lossd",
       "calls to lossd",
       "norm of the gradient (log scale)",
       {newton->norms, lbfgs->norms}},
      "picture");
}

}  // namespace
}  // namespace lossd::iris

int main(int argc, char** argv) {
  lossd::iris::Program program(
      "iris_newton",
      "Newton's method on Fisher's irises; every loss, gradient and "
      "Hessian-vector product comes from lossd",
      "both ways down");
  lossd::iris::Flags flags;
  program.app()
      .add_option("--class-weights", flags.class_weights,
                  "A factor for each species, as in 1,2,3")
      ->delimiter(',')
      ->capture_default_str();
  program.app()
      .add_option("--label-smoothing", flags.label_smoothing,
                  "The share of each label spread over all species; in [0, 1]")
      ->capture_default_str();
  return program.Main(argc, argv, [&](const auto& dataset, const auto& client) {
    return lossd::iris::RunBoth(program, flags, dataset, client);
  });
}
