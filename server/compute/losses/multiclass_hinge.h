#ifndef LOSSD_SERVER_COMPUTE_LOSSES_MULTICLASS_HINGE_H_
#define LOSSD_SERVER_COMPUTE_LOSSES_MULTICLASS_HINGE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "server/compute/losses/loss_job.h"

namespace lossd::compute {

LossRules RulesOf(const MulticlassHinge& loss);

// Errors: InvalidArgument: an option out of its range.
absl::Status CheckOptions(const MulticlassHinge& loss, const Batch& batch);

// Computes rows [first, last): fills their parts of the job's outputs.
//
//   h_i = max(0, margin - z_y + z_i)      loss = mean over i != y of h_i^power
//   gradient_i = power h_i^(power - 1) [h_i > 0] / (C - 1) for i != y, and the
//   sum of these with the other sign at y. A single class has loss 0.
// Source: J. Weston, C. Watkins, ESANN 1999; as PyTorch's multi_margin_loss,
// which divides by C instead.
//
// REQUIRES: options and labels are in their ranges, or ignored.
// Accuracy: within 1 ulp; docs/numerics.md.
// Threads: may run at once for disjoint runs of rows.
RowSums ComputeRows(const LossJob<MulticlassHinge>& job, int64_t first,
                    int64_t last);

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_LOSSES_MULTICLASS_HINGE_H_
