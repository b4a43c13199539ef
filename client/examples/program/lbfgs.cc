#include "client/examples/program/lbfgs.h"

#include <lbfgs.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"

namespace lossd::examples {
namespace {

// What lbfgs() returns where `report` ended it: no error, no code of its own.
constexpr int kEnough = 1000;

// What the library's callbacks get.
struct Call {
  const Objective& objective;
  const std::function<bool(const Step&)>& report;
  absl::Status status;
};

// After an error: infinity, which every line search shrinks back from, and no
// further evaluation.
double Evaluate(void* instance, const double* x, double* g, int n, double) {
  auto* call = static_cast<Call*>(instance);
  if (call->status.ok()) {
    const auto value = call->objective({x, static_cast<size_t>(n)},
                                       {g, static_cast<size_t>(n)});
    if (value.ok()) return *value;
    call->status = value.status();
  }
  return std::numeric_limits<double>::infinity();
}

int Progress(void* instance, const double*, const double*, double value, double,
             double gradient_norm, double, int, int number, int) {
  const bool go_on =
      static_cast<Call*>(instance)->report({number, value, gradient_norm});
  return go_on ? 0 : kEnough;
}

}  // namespace

absl::StatusOr<std::vector<double>> MinimizeByLbfgs(
    const Objective& objective, int64_t parameters, double tolerance,
    const std::function<bool(const Step&)>& report) {
  lbfgs_parameter_t settings;
  lbfgs_parameter_init(&settings);
  settings.m = 20;
  settings.epsilon = tolerance;
  settings.max_iterations = 1000;
  const int n = static_cast<int>(parameters);
  // Its own allocator: the library may have been built for aligned vectors.
  const std::unique_ptr<double, decltype(&lbfgs_free)> x(lbfgs_malloc(n),
                                                         &lbfgs_free);
  std::fill_n(x.get(), n, 0.0);
  Call call = {objective, report, absl::OkStatus()};
  const int result =
      lbfgs(n, x.get(), nullptr, Evaluate, Progress, &call, &settings);
  if (!call.status.ok()) return call.status;
  // Rounding ends the descent before the gradient is 0 to the last digit: then
  // no step lowers the value any more.
  if (result < 0 && result != LBFGSERR_ROUNDING_ERROR &&
      result != LBFGSERR_MAXIMUMLINESEARCH) {
    return absl::InternalError(
        absl::StrCat("L-BFGS stopped with its error ", result));
  }
  return std::vector<double>(x.get(), x.get() + n);
}

}  // namespace lossd::examples
