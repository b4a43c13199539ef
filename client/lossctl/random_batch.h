// The batches that check-gradient draws.
#ifndef LOSSD_CLIENT_LOSSCTL_RANDOM_BATCH_H_
#define LOSSD_CLIENT_LOSSCTL_RANDOM_BATCH_H_

#include <cstdint>
#include <vector>

#include "client/lossd/client.h"

namespace lossd::lossctl {

struct RandomBatch {
  std::vector<double> logits;
  std::vector<int64_t> labels;  // class indices, or else
  std::vector<double> targets;
};

// Draws [rows, classes] logits, normal of scale 3, and what `loss` takes for
// them: class indices, of which with an ignore_index every third carries it; or
// targets, in the loss's range, which `float_targets` chooses for a loss that
// takes both.
RandomBatch DrawBatch(const LossSpec& loss, bool float_targets, int64_t rows,
                      int64_t classes, uint64_t seed);

// Returns what the mean over `batch` divides by: with class indices the counted
// rows' class weights times row weights, summed; with targets the row weights.
double MeanDenominator(const LossSpec& loss, const Batch<double>& batch);

}  // namespace lossd::lossctl

#endif  // LOSSD_CLIENT_LOSSCTL_RANDOM_BATCH_H_
