#ifndef LOSSD_CLIENT_EXAMPLES_IRIS_MODEL_H_
#define LOSSD_CLIENT_EXAMPLES_IRIS_MODEL_H_

#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "client/examples/iris/dataset.h"
#include "client/lossd/client.h"

namespace lossd::iris {

// One step of the optimizer.
struct Iteration {
  int number = 0;              // from 1
  double deviance = 0.0;       // twice the summed loss, nats
  double gradient_norm = 0.0;  // of the summed loss, in the parameters
  int calls = 0;               // to lossd, so far
};

struct Fit {
  double deviance = 0.0;
  int64_t correct_count = 0;
  int calls = 0;
};

// Fits multinomial logistic regression by L-BFGS from parameters 0. The service
// gives the loss, L = sum_r -ln softmax(z_r)_(y_r), and its gradient in the
// logits; the rest is LinearModel's chain rule. `report` is called once an
// iteration. `seconds_per_call` is the deadline of each call. Errors: the
// service's own; Internal: the optimizer's, in its words.
absl::StatusOr<Fit> FitModel(
    const Client& client, const Dataset& dataset, double seconds_per_call,
    const std::function<void(const Iteration&)>& report);

}  // namespace lossd::iris

#endif  // LOSSD_CLIENT_EXAMPLES_IRIS_MODEL_H_
