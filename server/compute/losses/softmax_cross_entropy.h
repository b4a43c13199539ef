#ifndef LOSSD_SERVER_COMPUTE_LOSSES_SOFTMAX_CROSS_ENTROPY_H_
#define LOSSD_SERVER_COMPUTE_LOSSES_SOFTMAX_CROSS_ENTROPY_H_

#include <cstdint>
#include <string_view>

#include "server/compute/loss.h"
#include "server/compute/row_source.h"

namespace lossd::compute {

// What the rows of one batch have in common.
struct SoftmaxCrossEntropyJob {
  const Batch* batch = nullptr;
  const RowSource* logits = nullptr;
  const LossOutputs* outputs = nullptr;
  std::optional<int64_t> ignore_index;
  double divisor = 1.0;        // the gradient is divided by it
  ThreadPool* pool = nullptr;  // whose threads share the rows, and long rows
};

// What a run of rows adds up to.
struct SoftmaxCrossEntropyCounts {
  int64_t correct_count = 0;
  // The lowest counted row with NaN, +inf or nothing but -inf; -1: none. Its
  // results are NaN.
  int64_t first_bad_row = -1;
};

// Computes rows [first, last): fills their parts of the job's outputs and
// row_losses[first .. last), in nats, 0 for ignored rows.
//
// REQUIRES: labels are in [0, classes) or ignored.
// Accuracy: float32 results are correctly rounded, float64 ones within 1 ulp;
//   float32 rows' row_losses have a relative error under 2^-44.
// Threads: may run at once for disjoint runs of rows.
SoftmaxCrossEntropyCounts ComputeSoftmaxCrossEntropyRows(
    const SoftmaxCrossEntropyJob& job, int64_t first, int64_t last,
    double* row_losses);

// The instruction set that ComputeSoftmaxCrossEntropyRows runs on.
std::string_view SoftmaxCrossEntropyKernel();

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_LOSSES_SOFTMAX_CROSS_ENTROPY_H_
