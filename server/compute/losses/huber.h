#ifndef LOSSD_SERVER_COMPUTE_LOSSES_HUBER_H_
#define LOSSD_SERVER_COMPUTE_LOSSES_HUBER_H_

#include <cstdint>

#include "absl/status/status.h"
#include "server/compute/losses/loss_job.h"

namespace lossd::compute {

LossRules RulesOf(const Huber& loss);

// Errors: InvalidArgument: an option out of its range.
absl::Status CheckOptions(const Huber& loss, const Batch& batch);

// Computes rows [first, last): fills their parts of the job's outputs.
//
//   loss = mean over i of h(z_i - t_i), h(d) = d^2 / 2 for |d| <= delta, else
//   delta (|d| - delta / 2); gradient_i = min(max(d, -delta), delta) / C
// Source: P. J. Huber, Ann. Math. Stat. 35 (1964); as PyTorch's huber_loss.
//
// REQUIRES: options are in their ranges.
// Accuracy: within 1 ulp; docs/numerics.md.
// Threads: may run at once for disjoint runs of rows.
RowSums ComputeRows(const LossJob<Huber>& job, int64_t first, int64_t last);

// Multiplies the Hessians of rows [first, last) by their vectors:
// huber_hessian.cc.
//
//   H_ii = [|z_i - t_i| <= delta] / C; where it is delta, the left derivative
//
// The rest as for ComputeRows; accuracy as hessian.h says.
RowSums MultiplyRows(const HessianJob<Huber>& job, int64_t first, int64_t last);

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_LOSSES_HUBER_H_
