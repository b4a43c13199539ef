#ifndef LOSSD_SERVER_COMPUTE_LOSSES_SOFTMAX_CROSS_ENTROPY_H_
#define LOSSD_SERVER_COMPUTE_LOSSES_SOFTMAX_CROSS_ENTROPY_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "server/compute/losses/loss_job.h"

namespace lossd::compute {

LossRules RulesOf(const SoftmaxCrossEntropy& loss);

// Errors: InvalidArgument: an option or a class weight out of its range;
//   ignore_index with probabilities as labels.
absl::Status CheckOptions(const SoftmaxCrossEntropy& loss, const Batch& batch);

// Computes rows [first, last): fills their parts of the job's outputs.
//
// REQUIRES: options and labels are in their ranges, or ignored.
// Accuracy: results of float32, float16 and bfloat16 logits are correctly
//   rounded, of float64 ones within 1 ulp; the losses that are added up have a
//   relative error under 2^-43.
// Threads: may run at once for disjoint runs of rows.
RowSums ComputeRows(const LossJob<SoftmaxCrossEntropy>& job, int64_t first,
                    int64_t last);

// The instruction set that all kernels run on.
std::string_view SoftmaxCrossEntropyKernel();

// Multiplies the Hessians of rows [first, last) by their vectors:
// softmax_cross_entropy_hessian.cc.
//
//   H = scale^2 (T (diag(p) - p p^T) + 2 z_loss p p^T),  T = sum q + 2 z_loss
//   lse
//
// The rest as for ComputeRows; accuracy as hessian.h says.
RowSums MultiplyRows(const HessianJob<SoftmaxCrossEntropy>& job, int64_t first,
                     int64_t last);

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_LOSSES_SOFTMAX_CROSS_ENTROPY_H_
