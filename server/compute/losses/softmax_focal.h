#ifndef LOSSD_SERVER_COMPUTE_LOSSES_SOFTMAX_FOCAL_H_
#define LOSSD_SERVER_COMPUTE_LOSSES_SOFTMAX_FOCAL_H_

#include <cstdint>

#include "absl/status/status.h"
#include "server/compute/losses/loss_job.h"

namespace lossd::compute {

LossRules RulesOf(const SoftmaxFocal& loss);

// Errors: InvalidArgument: gamma or a class weight out of its range.
absl::Status CheckOptions(const SoftmaxFocal& loss, const Batch& batch);

// Computes rows [first, last): fills their parts of the job's outputs.
//
//   loss = -w_y m^gamma ln p_y,  p = softmax(z), m = 1 - p_y
//   gradient_i = w_y a (p_i - [i = y]),  a = m^gamma - gamma p_y m^(gamma-1) ln
//   p_y
// Source: T.-Y. Lin et al., ICCV 2017, over a softmax.
//
// REQUIRES: options and labels are in their ranges, or ignored.
// Accuracy: within 1 ulp, of results that float64 has no subnormal part of.
// Threads: may run at once for disjoint runs of rows.
RowSums ComputeRows(const LossJob<SoftmaxFocal>& job, int64_t first,
                    int64_t last);

// Multiplies the Hessians of rows [first, last) by their vectors:
// softmax_focal_hessian.cc.
//
//   H = w_y (a (diag(p) - p p^T) + b (p - e_y) (p - e_y)^T),
//   b = gamma p_y m^(gamma-1) (2 + ln p_y - (gamma - 1) p_y ln p_y / m)
//
// The rest as for ComputeRows; accuracy as hessian.h says.
RowSums MultiplyRows(const HessianJob<SoftmaxFocal>& job, int64_t first,
                     int64_t last);

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_LOSSES_SOFTMAX_FOCAL_H_
