#ifndef LOSSD_CLIENT_EXAMPLES_PROGRAM_LBFGS_H_
#define LOSSD_CLIENT_EXAMPLES_PROGRAM_LBFGS_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace lossd::examples {

// A function to minimize: returns its value at `x` and fills its gradient.
using Objective = std::function<absl::StatusOr<double>(
    absl::Span<const double> x, absl::Span<double> gradient)>;

// One step of an optimizer.
struct Step {
  int number = 0;  // from 1
  double value = 0.0;
  double gradient_norm = 0.0;
};

// Minimizes `objective` by L-BFGS (liblbfgs) from 0 and returns where it ends:
// where the gradient is below `tolerance` times the parameters' norm (or 1), or
// where rounding lets no step lower the value. `report` is called once a step
// and ends it there where it returns false. Errors: the objective's own;
// Internal: the optimizer's.
absl::StatusOr<std::vector<double>> MinimizeByLbfgs(
    const Objective& objective, int64_t parameters, double tolerance,
    const std::function<bool(const Step&)>& report);

}  // namespace lossd::examples

#endif  // LOSSD_CLIENT_EXAMPLES_PROGRAM_LBFGS_H_
