#include "client/examples/iris/model.h"

#include "client/examples/iris/linear_model.h"
#include "client/examples/program/lbfgs.h"

namespace lossd::iris {

absl::StatusOr<Fit> FitModel(
    const Client& client, const Dataset& dataset, double seconds_per_call,
    const std::function<void(const Iteration&)>& report) {
  const LinearModel model(dataset);
  std::vector<double> logit_gradient(model.rows() * model.classes());
  LossSummary summary;
  int calls = 0;
  const examples::Objective summed_loss =
      [&](absl::Span<const double> parameters,
          absl::Span<double> gradient) -> absl::StatusOr<double> {
    const std::vector<double> logits = model.Logits(parameters);
    ++calls;
    const auto answer = client.ComputeLoss<double>(
        {.rows = model.rows(),
         .classes = model.classes(),
         .logits = logits,
         .labels = dataset.labels},
        {.reduction = Reduction::kSum},
        CallOptions(absl::Seconds(seconds_per_call)),
        {.gradient = absl::MakeSpan(logit_gradient)});
    if (!answer.ok()) return answer.status();
    summary = *answer;
    model.ParameterGradient(logit_gradient, gradient);
    return *summary.loss;
  };
  // The optimum lies far out (two species nearly part) in a long flat valley: a
  // loose tolerance stops on its slope, where R's multinom does.
  const auto parameters = examples::MinimizeByLbfgs(
      summed_loss, model.parameters(), 1e-9, [&](const examples::Step& step) {
        report({step.number, 2.0 * step.value, step.gradient_norm, calls});
        return true;
      });
  if (!parameters.ok()) return parameters.status();
  std::vector<double> gradient(model.parameters());
  const auto at_end = summed_loss(*parameters, absl::MakeSpan(gradient));
  if (!at_end.ok()) return at_end.status();
  return Fit{2.0 * *at_end, summary.correct_count, calls};
}

}  // namespace lossd::iris
