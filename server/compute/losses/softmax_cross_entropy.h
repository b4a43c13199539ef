#ifndef LOSSD_SERVER_COMPUTE_LOSSES_SOFTMAX_CROSS_ENTROPY_H_
#define LOSSD_SERVER_COMPUTE_LOSSES_SOFTMAX_CROSS_ENTROPY_H_

#include <cstdint>
#include <string_view>

#include "server/compute/exact_sum.h"
#include "server/compute/loss.h"
#include "server/compute/row_source.h"

namespace lossd::compute {

// What the rows of one batch have in common.
struct SoftmaxCrossEntropyJob {
  const SoftmaxCrossEntropy* loss = nullptr;
  const Batch* batch = nullptr;
  const RowSource* logits = nullptr;
  const RowSource* targets = nullptr;  // probabilities; null: class indices
  const LossOutputs* outputs = nullptr;
  double divisor = 1.0;        // the gradient is divided by it; 0: none
  ThreadPool* pool = nullptr;  // whose threads share the rows, and long rows
};

// What a run of rows adds up to.
struct SoftmaxCrossEntropySums {
  ExactSum loss;  // in nats
  int64_t correct_count = 0;
  // The lowest counted row with NaN, +inf or nothing but -inf, whose results
  // are NaN; -1: none.
  int64_t first_bad_row = -1;
  // The lowest row with a target out of its range, which was left out.
  int64_t first_bad_target_row = -1;
};

// Computes rows [first, last): fills their parts of the job's outputs.
//
// REQUIRES: options and labels are in their ranges, or ignored.
// Accuracy: results of float32, float16 and bfloat16 logits are correctly
//   rounded, of float64 ones within 1 ulp; the losses that are added up have a
//   relative error under 2^-44.
// Threads: may run at once for disjoint runs of rows.
SoftmaxCrossEntropySums ComputeSoftmaxCrossEntropyRows(
    const SoftmaxCrossEntropyJob& job, int64_t first, int64_t last);

// The instruction set that ComputeSoftmaxCrossEntropyRows runs on.
std::string_view SoftmaxCrossEntropyKernel();

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_LOSSES_SOFTMAX_CROSS_ENTROPY_H_
