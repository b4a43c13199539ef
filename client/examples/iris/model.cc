#include "client/examples/iris/model.h"

#include <lbfgs.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"

namespace lossd::iris {
namespace {

// The parameters lie as [classes - 1][features + 1], the intercept last.
class Objective {
 public:
  Objective(const Client& client, const Dataset& dataset,
            double seconds_per_call,
            const std::function<void(const Iteration&)>& report)
      : client_(client),
        dataset_(dataset),
        seconds_per_call_(seconds_per_call),
        report_(report),
        classes_(static_cast<int64_t>(dataset.class_names.size())),
        logits_(dataset.rows * classes_),
        gradient_(dataset.rows * classes_) {}

  int parameters() const {
    return static_cast<int>((classes_ - 1) * (dataset_.features + 1));
  }
  const absl::Status& status() const { return status_; }
  int calls() const { return calls_; }
  int64_t correct_count() const { return summary_.correct_count; }

  // The summed loss at `x`; its gradient goes to `g`. After an error: infinity,
  // which every line search shrinks back from, and no further call.
  double Evaluate(const double* x, double* g) {
    if (!status_.ok()) return std::numeric_limits<double>::infinity();
    FillLogits(x);
    ++calls_;
    const auto summary = client_.ComputeLoss<double>(
        {.rows = dataset_.rows,
         .classes = classes_,
         .logits = logits_,
         .labels = dataset_.labels},
        {.reduction = Reduction::kSum},
        CallOptions(absl::Seconds(seconds_per_call_)),
        {.gradient = absl::MakeSpan(gradient_)});
    if (!summary.ok()) {
      status_ = summary.status();
      return std::numeric_limits<double>::infinity();
    }
    summary_ = *summary;
    FillParameterGradient(g);
    return *summary_.loss;
  }

  void Report(int number, double loss, double gradient_norm) const {
    report_({number, 2.0 * loss, gradient_norm, calls_});
  }

 private:
  void FillLogits(const double* x) {
    const int64_t features = dataset_.features;
    for (int64_t row = 0; row < dataset_.rows; ++row) {
      const double* values = &dataset_.values[row * features];
      double* logits = &logits_[row * classes_];
      logits[0] = 0.0;
      for (int64_t k = 1; k < classes_; ++k) {
        const double* w = x + (k - 1) * (features + 1);
        logits[k] = w[features];
        for (int64_t f = 0; f < features; ++f) logits[k] += w[f] * values[f];
      }
    }
  }

  void FillParameterGradient(double* g) const {
    const int64_t features = dataset_.features;
    std::fill(g, g + parameters(), 0.0);
    for (int64_t row = 0; row < dataset_.rows; ++row) {
      const double* values = &dataset_.values[row * features];
      for (int64_t k = 1; k < classes_; ++k) {
        const double g_rk = gradient_[row * classes_ + k];
        double* dw = g + (k - 1) * (features + 1);
        for (int64_t f = 0; f < features; ++f) dw[f] += g_rk * values[f];
        dw[features] += g_rk;
      }
    }
  }

  const Client& client_;
  const Dataset& dataset_;
  const double seconds_per_call_;
  const std::function<void(const Iteration&)>& report_;
  const int64_t classes_;
  std::vector<double> logits_;
  std::vector<double> gradient_;
  LossSummary summary_;
  absl::Status status_;
  int calls_ = 0;
};

double EvaluateCallback(void* objective, const double* x, double* g, int,
                        double) {
  return static_cast<Objective*>(objective)->Evaluate(x, g);
}

int ProgressCallback(void* objective, const double*, const double*, double loss,
                     double, double gradient_norm, double, int, int iteration,
                     int) {
  static_cast<Objective*>(objective)->Report(iteration, loss, gradient_norm);
  return 0;
}

}  // namespace

absl::StatusOr<Fit> FitModel(
    const Client& client, const Dataset& dataset, double seconds_per_call,
    const std::function<void(const Iteration&)>& report) {
  Objective objective(client, dataset, seconds_per_call, report);
  lbfgs_parameter_t parameters;
  lbfgs_parameter_init(&parameters);
  parameters.m = 20;
  // The optimum lies far out (two species nearly part) in a long flat valley: a
  // loose tolerance stops on its slope, where R's multinom does.
  parameters.epsilon = 1e-9;
  parameters.max_iterations = 1000;
  // Its own allocator: the library may have been built for aligned vectors.
  const std::unique_ptr<double, decltype(&lbfgs_free)> x(
      lbfgs_malloc(objective.parameters()), &lbfgs_free);
  std::fill(x.get(), x.get() + objective.parameters(), 0.0);
  double loss = 0.0;
  const int result =
      lbfgs(objective.parameters(), x.get(), &loss, EvaluateCallback,
            ProgressCallback, &objective, &parameters);
  if (!objective.status().ok()) return objective.status();
  // Rounding ends the descent before the gradient is 0 to the last digit: then
  // no step lowers the loss any more.
  if (result < 0 && result != LBFGSERR_ROUNDING_ERROR &&
      result != LBFGSERR_MAXIMUMLINESEARCH) {
    return absl::InternalError(
        absl::StrCat("L-BFGS stopped with its error ", result));
  }
  std::vector<double> gradient(objective.parameters());
  const double at_end = objective.Evaluate(x.get(), gradient.data());
  if (!objective.status().ok()) return objective.status();
  return Fit{2.0 * at_end, objective.correct_count(), objective.calls()};
}

}  // namespace lossd::iris
