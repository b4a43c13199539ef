#ifndef LOSSD_SERVER_COMPUTE_LOSSES_KL_DIVERGENCE_H_
#define LOSSD_SERVER_COMPUTE_LOSSES_KL_DIVERGENCE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "server/compute/losses/loss_job.h"

namespace lossd::compute {

LossRules RulesOf(const KlDivergence& loss);

// Errors: InvalidArgument: the temperature out of its range.
absl::Status CheckOptions(const KlDivergence& loss, const Batch& batch);

// Computes rows [first, last): fills their parts of the job's outputs.
//
//   loss = T^2 sum of q_i (ln q_i - ln p_i)      p = softmax(z / T)
//   gradient_i = T (Q p_i - q_i)                 Q = sum of q_j
//
// q being the targets, or softmax(targets / T).
// Source: G. Hinton, O. Vinyals, J. Dean, Distilling the Knowledge in a Neural
// Network, arXiv:1503.02531 (2015).
//
// REQUIRES: options are in their ranges.
// Accuracy: within 1 ulp, also where Q p_i - q_i and the loss cancel.
// Threads: may run at once for disjoint runs of rows.
RowSums ComputeRows(const LossJob<KlDivergence>& job, int64_t first,
                    int64_t last);

// Multiplies the Hessians of rows [first, last) by their vectors:
// kl_divergence_hessian.cc.
//
//   H = Q (diag(p) - p p^T)
//
// The rest as for ComputeRows; accuracy as hessian.h says.
RowSums MultiplyRows(const HessianJob<KlDivergence>& job, int64_t first,
                     int64_t last);

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_LOSSES_KL_DIVERGENCE_H_
