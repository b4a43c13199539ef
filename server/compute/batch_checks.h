// What a batch and its options must keep to, and the errors where they do not.
#ifndef LOSSD_SERVER_COMPUTE_BATCH_CHECKS_H_
#define LOSSD_SERVER_COMPUTE_BATCH_CHECKS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/compute/loss.h"
#include "server/compute/row_source.h"

namespace lossd::compute {

// Errors: InvalidArgument: an option or a class weight out of its range;
//   ignore_index with probabilities as labels.
absl::Status CheckSoftmaxCrossEntropy(const SoftmaxCrossEntropy& spec,
                                      const Batch& batch);

// Errors: InvalidArgument: a row weight or an upstream gradient out of range.
absl::Status CheckRowFactors(const Batch& batch);

// The rows that are not ignored, and what their mean is over: the sum of their
// weights, which for class indices are those of the row and the label together.
struct CountedRows {
  int64_t rows = 0;
  double weight = 0.0;  // the double nearest to the sum of products
};

// Errors: InvalidArgument: a class index out of range, the first.
absl::StatusOr<CountedRows> CountRows(const SoftmaxCrossEntropy& spec,
                                      const Batch& batch);

// What is wrong with the logits, or the target probabilities, of `row`.
// REQUIRES: something is.
absl::Status NonFiniteError(const SoftmaxCrossEntropy& spec, const Batch& batch,
                            const RowSource& logits, int64_t row);
absl::Status TargetError(const Batch& batch, const RowSource& targets,
                         int64_t row);

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_BATCH_CHECKS_H_
