#ifndef LOSSD_SERVER_COMPUTE_LOSSES_NEGATIVE_LOG_LIKELIHOOD_H_
#define LOSSD_SERVER_COMPUTE_LOSSES_NEGATIVE_LOG_LIKELIHOOD_H_

#include <cstdint>

#include "absl/status/status.h"
#include "server/compute/losses/loss_job.h"

namespace lossd::compute {

LossRules RulesOf(const NegativeLogLikelihood& loss);

// Errors: InvalidArgument: a class weight out of its range.
absl::Status CheckOptions(const NegativeLogLikelihood& loss,
                          const Batch& batch);

// Computes rows [first, last): fills their parts of the job's outputs.
//
//   loss = -w_y z_y      gradient_i = -w_y [i = y]
// As ONNX's NegativeLogLikelihoodLoss and PyTorch's nll_loss.
//
// REQUIRES: options and labels are in their ranges, or ignored.
// Accuracy: within 1 ulp; docs/numerics.md.
// Threads: may run at once for disjoint runs of rows.
RowSums ComputeRows(const LossJob<NegativeLogLikelihood>& job, int64_t first,
                    int64_t last);

// Multiplies the Hessians of rows [first, last) by their vectors:
// negative_log_likelihood_hessian.cc.
//
//   H = 0
//
// The rest as for ComputeRows; accuracy as hessian.h says.
RowSums MultiplyRows(const HessianJob<NegativeLogLikelihood>& job,
                     int64_t first, int64_t last);

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_LOSSES_NEGATIVE_LOG_LIKELIHOOD_H_
