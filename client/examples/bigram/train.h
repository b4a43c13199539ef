#ifndef LOSSD_CLIENT_EXAMPLES_BIGRAM_TRAIN_H_
#define LOSSD_CLIENT_EXAMPLES_BIGRAM_TRAIN_H_

#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "client/examples/bigram/model.h"
#include "client/lossd/client.h"

namespace lossd::bigram {

// One step of the optimizer.
struct Progress {
  int step = 0;                // from 1
  double loss = 0.0;           // mean over the rows, nats
  double gradient_norm = 0.0;  // in the parameters
  int calls = 0;               // to lossd, so far
};

struct Training {
  std::vector<double> weights;  // W, [classes * classes]
  Progress last;
  // Medians over the calls: of the loss and its gradient in the parameters, and
  // of the call to lossd in it.
  double evaluation_ms = 0.0;
  double call_ms = 0.0;
};

// Fits `model` by L-BFGS from parameters 0. Each evaluation sends the whole
// batch, float32, and gets the mean loss and its gradient in the logits back.
// Ends after `max_steps`, or where ten steps together gain next to nothing; an
// optimum with pairs that never occur lies at infinity. `report` is called once
// a step. `seconds_per_call` is the deadline of each call.
// Errors: the service's own; Internal: the optimizer's.
absl::StatusOr<Training> Train(
    const Client& client, const Model& model, double seconds_per_call,
    int max_steps, const std::function<void(const Progress&)>& report);

}  // namespace lossd::bigram

#endif  // LOSSD_CLIENT_EXAMPLES_BIGRAM_TRAIN_H_
