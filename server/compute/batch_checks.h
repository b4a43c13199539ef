// What a batch and its options must keep to, and the errors where they do not.
#ifndef LOSSD_SERVER_COMPUTE_BATCH_CHECKS_H_
#define LOSSD_SERVER_COMPUTE_BATCH_CHECKS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/compute/loss.h"
#include "server/compute/losses/loss_job.h"
#include "server/compute/row_source.h"

namespace lossd::compute {

// Factors: 0, or in [kMinFactor, kMaxFactor].
inline constexpr char kFactorRange[] = "0 or [2^-100, 2^100]";
bool IsFactor(double value);

// InvalidArgument naming the option, or its element, and its range.
absl::Status OptionOutOfRange(const char* option, double value,
                              const char* want);
absl::Status CheckFactors(const char* option, absl::Span<const double> values);
absl::Status IgnoreIndexWithTargets(int64_t ignore_index);

// Errors: InvalidArgument: labels of a kind that the loss does not take;
//   outputs that it does not have.
absl::Status CheckRules(const LossRules& rules, const Batch& batch,
                        const LossOutputs& outputs);

// Errors: InvalidArgument: a row weight or an upstream gradient out of range.
absl::Status CheckRowFactors(const Batch& batch);

// The rows that are not ignored, and what their mean is over: the sum of their
// weights, which for class indices are those of the row and the label together.
struct CountedRows {
  int64_t rows = 0;
  double weight = 0.0;  // the double nearest to the sum of products
};

// Errors: InvalidArgument: a class index out of range, the first.
absl::StatusOr<CountedRows> CountRows(const LossRules& rules,
                                      const Batch& batch);

// What is wrong with the logits, or the targets, of `row`.
// REQUIRES: something is.
absl::Status NonFiniteError(const LossRules& rules, const Batch& batch,
                            const RowSource& logits, int64_t row);
absl::Status TargetError(const LossRules& rules, const Batch& batch,
                         const RowSource& targets, int64_t row);

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_BATCH_CHECKS_H_
