#ifndef LOSSD_SERVER_COMPUTE_LOSSES_SIGMOID_FOCAL_H_
#define LOSSD_SERVER_COMPUTE_LOSSES_SIGMOID_FOCAL_H_

#include <cstdint>

#include "absl/status/status.h"
#include "server/compute/losses/loss_job.h"

namespace lossd::compute {

LossRules RulesOf(const SigmoidFocal& loss);

// Errors: InvalidArgument: gamma or alpha out of its range.
absl::Status CheckOptions(const SigmoidFocal& loss, const Batch& batch);

// Computes rows [first, last): fills their parts of the job's outputs.
//
//   loss = mean over i of a_i m_i^gamma c_i,  c_i = -t_i ln p - (1 - t_i)
//   ln(1 - p)
//   m_i = p (1 - t_i) + (1 - p) t_i,  a_i = alpha t_i + (1 - alpha) (1 - t_i)
//   gradient_i = a_i (m_i^gamma (p - t_i) + gamma m_i^(gamma-1) p (1 - p)
//   (1 - 2 t_i) c_i) / C
// with p = sigma(z_i); without alpha a_i is 1.
// Source: T.-Y. Lin et al., ICCV 2017.
//
// REQUIRES: options are in their ranges.
// Accuracy: within 1 ulp; docs/numerics.md.
// Threads: may run at once for disjoint runs of rows.
RowSums ComputeRows(const LossJob<SigmoidFocal>& job, int64_t first,
                    int64_t last);

// Multiplies the Hessians of rows [first, last) by their vectors:
// sigmoid_focal_hessian.cc.
//
//   H_ii = a_i m_i^gamma p (1 - p) (1 + gamma (1 - 2 t_i) / m_i (2 (p - t_i)
//   + (1 - 2 p) c_i + (gamma - 1) (1 - 2 t_i) p (1 - p) c_i / m_i)) / C
//
// The rest as for ComputeRows; accuracy as hessian.h says.
RowSums MultiplyRows(const HessianJob<SigmoidFocal>& job, int64_t first,
                     int64_t last);

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_LOSSES_SIGMOID_FOCAL_H_
