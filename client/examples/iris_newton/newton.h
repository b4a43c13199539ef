#ifndef LOSSD_CLIENT_EXAMPLES_IRIS_NEWTON_NEWTON_H_
#define LOSSD_CLIENT_EXAMPLES_IRIS_NEWTON_NEWTON_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/examples/program/lbfgs.h"

namespace lossd::iris {

// Fills `product` with the Hessian at `x` times `vector`.
using HessianProduct = std::function<absl::Status(
    absl::Span<const double> x, absl::Span<const double> vector,
    absl::Span<double> product)>;

// One step of Newton's method: how long it was, in Newton directions, and how
// many products its direction took.
struct NewtonStep {
  examples::Step step;  // number 0: the start
  double length = 0.0;
  int products = 0;
};

// Minimizes a convex function from 0 by Newton's method and returns where the
// gradient's norm is at most `tolerance`. The direction d of H d = -g comes
// from conjugate gradients, which need H only as a factor, solved to min(0.1,
// |g|) of |g|: coarse far away, and the closer the finer, so that the number of
// right digits doubles with each step. Armijo's rule halves a step that is too
// long. Errors: the function's own; Internal: no step lowers the value.
absl::StatusOr<std::vector<double>> MinimizeByNewton(
    const examples::Objective& objective, const HessianProduct& hessian,
    int64_t parameters, double tolerance,
    const std::function<void(const NewtonStep&)>& report);

}  // namespace lossd::iris

#endif  // LOSSD_CLIENT_EXAMPLES_IRIS_NEWTON_NEWTON_H_
