// What the losses have in common: the rows of a batch to compute, what a run of
// them adds up to, and the rules that a loss has for its labels.
#ifndef LOSSD_SERVER_COMPUTE_LOSSES_LOSS_JOB_H_
#define LOSSD_SERVER_COMPUTE_LOSSES_LOSS_JOB_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "server/compute/exact_sum.h"
#include "server/compute/loss.h"
#include "server/compute/row_source.h"

namespace lossd::compute {

// A run of rows of one batch, all of them or a chunk, and what they have in
// common. Rows are counted from the batch's first one everywhere.
template <typename Loss>
struct LossJob {
  const Loss* loss = nullptr;
  const Batch* batch = nullptr;  // its logits are not looked at
  const RowSource* logits = nullptr;
  const RowSource* targets = nullptr;  // null: class indices
  // The gradient is that of this run alone, all other outputs of the batch.
  const LossOutputs* outputs = nullptr;
  double divisor = 1.0;        // the gradient is divided by it; 0: none
  ThreadPool* pool = nullptr;  // whose threads share the rows, and long rows
  int64_t first_row = 0;       // the run: [first_row, end_row)
  int64_t end_row = 0;
};

// The same for the rows' Hessians times a vector.
template <typename Loss>
struct HessianJob {
  LossJob<Loss> rows;  // the product is their gradient, of the logits' type
  const RowSource* vector = nullptr;  // of the logits' type
};

// What a run of rows adds up to.
struct RowSums {
  ExactSum loss;  // in nats, where the loss is in nats
  int64_t correct_count = 0;
  // The lowest counted row with logits that REJECT refuses; -1: none.
  int64_t first_bad_row = -1;
  // The lowest row with a target out of its range, which was left out.
  int64_t first_bad_target_row = -1;
};

// What a loss takes as labels and gives as results, for the checks that all
// losses share.
struct LossRules {
  bool takes_indices = false;
  bool takes_targets = false;
  // Rows with this label do not count.
  std::optional<int64_t> ignore_index = std::nullopt;
  // Weigh rows by their label in the mean's denominator; empty: 1.
  absl::Span<const double> class_weights = {};
  // Targets' range, and how an error puts it.
  double min_target = 0.0;
  double max_target = 0.0;
  const char* target_range = "";
  // Whether log_sum_exp, probabilities and their logarithms are among the
  // outputs.
  bool has_probabilities = false;
  // Whether a row of nothing but -inf is none.
  bool needs_possible_class = false;
  double logit_scale = 1.0;  // the logits must be finite times this, too
};

// Where a row's elements begin in an output that may not be wanted.
inline std::byte* RowOf(absl::Span<std::byte> out, int64_t row,
                        int64_t row_bytes) {
  return out.empty() ? nullptr : out.data() + row * row_bytes;
}

// Where the gradient of `row` begins; null if it is not wanted.
template <typename Loss>
std::byte* GradientOf(const LossJob<Loss>& job, int64_t row) {
  const ElementType type =
      job.outputs->gradient_type.value_or(job.batch->logits_type);
  return RowOf(job.outputs->gradient, row - job.first_row,
               job.batch->classes * ElementBytes(type));
}

// The row's factors.
inline double RowWeight(const Batch& batch, int64_t row) {
  return batch.row_weights.empty() ? 1.0 : batch.row_weights[row];
}
inline double Upstream(const Batch& batch, int64_t row) {
  if (batch.upstream_gradient.empty()) return 1.0;
  return batch.upstream_gradient[batch.upstream_gradient.size() == 1 ? 0 : row];
}

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_LOSSES_LOSS_JOB_H_
