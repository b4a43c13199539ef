// What every call of the core has in common: the checks before any row is
// computed, and the rows in blocks, shared out over the threads.
#ifndef LOSSD_SERVER_COMPUTE_BATCH_RUN_H_
#define LOSSD_SERVER_COMPUTE_BATCH_RUN_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <mutex>
#include <optional>
#include <utility>
#include <variant>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/compute/batch_checks.h"
#include "server/compute/exact_sum.h"
#include "server/compute/loss.h"
#include "server/compute/losses/loss_job.h"
#include "server/compute/row_source.h"

namespace lossd::compute {

inline constexpr int64_t kNoRow = std::numeric_limits<int64_t>::max();

// Checks all but the rows' contents.
//
// Errors: InvalidArgument: an option, a label or a factor out of its range;
//   labels or outputs that are not the loss's.
template <typename Loss>
absl::StatusOr<CountedRows> CheckBatch(const Loss& loss, const LossRules& rules,
                                       const LossOptions& options,
                                       const Batch& batch,
                                       const LossOutputs& outputs) {
  absl::Status status = CheckLossOptions(options);
  if (status.ok()) status = CheckRules(rules, batch, outputs);
  if (status.ok()) status = CheckOptions(loss, batch);
  if (status.ok()) status = CheckRowFactors(batch);
  if (!status.ok()) return status;
  return CountRows(rules, batch);
}

// What the reduction divides by.
inline double DivisorOf(const LossOptions& options,
                        const CountedRows& counted) {
  if (options.reduction != Reduction::kMean) return 1.0;
  return options.divisor.value_or(counted.weight);
}

// The rows of a tensor of as many rows and classes as `batch`.
inline RowSource RowsOf(const Batch& batch, ElementType type, Pieces pieces) {
  // Without rows, no bytes stand behind `classes` and the product may overflow.
  return {pieces, batch.rows == 0 ? 1 : batch.classes * ElementBytes(type)};
}

// The rows of a batch's float targets, where it has any.
inline std::optional<RowSource> TargetRowsOf(const Batch& batch) {
  const auto* const targets = std::get_if<FloatTargets>(&batch.labels);
  if (targets == nullptr) return std::nullopt;
  return RowsOf(batch, targets->type, targets->data);
}

// What the blocks of one call find out together.
class Findings {
 public:
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }
  // The lowest row that makes the batch an error, so far; kNoRow: none.
  int64_t first_error_row() const {
    return first_error_row_.load(std::memory_order_relaxed);
  }

  void Stop(absl::Status status);
  void Add(const RowSums& sums, bool rejects);

  // The following once all blocks are done.
  const absl::Status& status() const { return status_; }
  const ExactSum& loss() const { return loss_; }
  int64_t correct_count() const { return correct_count_; }
  int64_t first_bad_row() const { return first_bad_row_; }
  int64_t first_bad_target_row() const { return first_bad_target_row_; }

 private:
  std::atomic<bool> stopped_{false};
  std::atomic<int64_t> first_error_row_{kNoRow};
  std::mutex mutex_;  // guards all below
  absl::Status status_;
  ExactSum loss_;
  int64_t correct_count_ = 0;
  int64_t first_bad_row_ = kNoRow;
  int64_t first_bad_target_row_ = kNoRow;
};

// A run of rows: [first, end).
struct RowRun {
  int64_t first = 0;
  int64_t end = 0;
};

// Computes the rows of `run`, of `classes` each, by compute_rows(first, end),
// or as many as it takes to know that there is an error.
void ComputeBlocks(RowRun run, int64_t classes, const LossOptions& options,
                   ThreadPool& pool, StopCheck stop_check,
                   absl::FunctionRef<RowSums(int64_t, int64_t)> compute_rows,
                   Findings& findings);

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_BATCH_RUN_H_
