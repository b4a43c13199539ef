#ifndef LOSSD_SERVER_COMPUTE_LOSSES_SQUARED_ERROR_H_
#define LOSSD_SERVER_COMPUTE_LOSSES_SQUARED_ERROR_H_

#include <cstdint>

#include "absl/status/status.h"
#include "server/compute/losses/loss_job.h"

namespace lossd::compute {

LossRules RulesOf(const SquaredError& loss);

// Errors: InvalidArgument: an option out of its range.
absl::Status CheckOptions(const SquaredError& loss, const Batch& batch);

// Computes rows [first, last): fills their parts of the job's outputs.
//
//   loss = mean over i of (z_i - t_i)^2      gradient_i = 2 (z_i - t_i) / C
//
// REQUIRES: options are in their ranges.
// Accuracy: within 1 ulp; docs/numerics.md.
// Threads: may run at once for disjoint runs of rows.
RowSums ComputeRows(const LossJob<SquaredError>& job, int64_t first,
                    int64_t last);

// Multiplies the Hessians of rows [first, last) by their vectors:
// squared_error_hessian.cc.
//
//   H_ii = 2 / C
//
// The rest as for ComputeRows; accuracy as hessian.h says.
RowSums MultiplyRows(const HessianJob<SquaredError>& job, int64_t first,
                     int64_t last);

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_LOSSES_SQUARED_ERROR_H_
