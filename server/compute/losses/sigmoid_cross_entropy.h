#ifndef LOSSD_SERVER_COMPUTE_LOSSES_SIGMOID_CROSS_ENTROPY_H_
#define LOSSD_SERVER_COMPUTE_LOSSES_SIGMOID_CROSS_ENTROPY_H_

#include <cstdint>

#include "absl/status/status.h"
#include "server/compute/losses/loss_job.h"

namespace lossd::compute {

LossRules RulesOf(const SigmoidCrossEntropy& loss);

// Errors: InvalidArgument: an option out of its range.
absl::Status CheckOptions(const SigmoidCrossEntropy& loss, const Batch& batch);

// Computes rows [first, last): fills their parts of the job's outputs.
//
//   loss = mean over i of P_i ln(1 + exp(-z_i)) + N_i ln(1 + exp(z_i)),
//   P = w ((1 - s) t + s / 2), N = (1 - s) (1 - t) + s / 2
//   gradient_i = (N_i sigmoid(z_i) - P_i sigmoid(-z_i)) / C
// As PyTorch's binary_cross_entropy_with_logits, w its pos_weight.
//
// REQUIRES: options are in their ranges.
// Accuracy: within 1 ulp; docs/numerics.md.
// Threads: may run at once for disjoint runs of rows.
RowSums ComputeRows(const LossJob<SigmoidCrossEntropy>& job, int64_t first,
                    int64_t last);

// Multiplies the Hessians of rows [first, last) by their vectors:
// sigmoid_cross_entropy_hessian.cc.
//
//   H_ii = (P_i + N_i) sigma(z_i) sigma(-z_i) / C
//
// The rest as for ComputeRows; accuracy as hessian.h says.
RowSums MultiplyRows(const HessianJob<SigmoidCrossEntropy>& job, int64_t first,
                     int64_t last);

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_LOSSES_SIGMOID_CROSS_ENTROPY_H_
