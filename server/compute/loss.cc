#include "server/compute/loss.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <mutex>
#include <utility>

#include "server/compute/batch_checks.h"
#include "server/compute/exact_sum.h"
#include "server/compute/losses/huber.h"
#include "server/compute/losses/kl_divergence.h"
#include "server/compute/losses/multiclass_hinge.h"
#include "server/compute/losses/negative_log_likelihood.h"
#include "server/compute/losses/sigmoid_cross_entropy.h"
#include "server/compute/losses/softmax_cross_entropy.h"
#include "server/compute/losses/softmax_focal.h"
#include "server/compute/losses/squared_error.h"

namespace lossd::compute {
namespace {

// Rows are shared out and stop checks made in blocks of about this many logits:
// some 30 us of work, so that neither costs anything.
constexpr int64_t kBlockLogits = 32768;

constexpr int64_t kNoRow = std::numeric_limits<int64_t>::max();

// What the blocks of one call find out together.
class Findings {
 public:
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }
  // The lowest row that makes the batch an error, so far; kNoRow: none.
  int64_t first_error_row() const {
    return first_error_row_.load(std::memory_order_relaxed);
  }

  void Stop(absl::Status status) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (status_.ok()) status_ = std::move(status);
    stopped_.store(true, std::memory_order_relaxed);
  }

  void Add(const RowSums& sums, bool rejects) {
    const std::lock_guard<std::mutex> lock(mutex_);
    loss_.Add(sums.loss);
    correct_count_ += sums.correct_count;
    if (rejects) first_bad_row_ = Earlier(sums.first_bad_row, first_bad_row_);
    first_bad_target_row_ =
        Earlier(sums.first_bad_target_row, first_bad_target_row_);
    first_error_row_.store(std::min(first_bad_row_, first_bad_target_row_),
                           std::memory_order_relaxed);
  }

  // The following once all blocks are done.
  const absl::Status& status() const { return status_; }
  const ExactSum& loss() const { return loss_; }
  int64_t correct_count() const { return correct_count_; }
  int64_t first_bad_row() const { return first_bad_row_; }
  int64_t first_bad_target_row() const { return first_bad_target_row_; }

 private:
  static int64_t Earlier(int64_t row, int64_t first) {
    return row < 0 ? first : std::min(row, first);
  }

  std::atomic<bool> stopped_{false};
  std::atomic<int64_t> first_error_row_{kNoRow};
  std::mutex mutex_;  // guards all below
  absl::Status status_;
  ExactSum loss_;
  int64_t correct_count_ = 0;
  int64_t first_bad_row_ = kNoRow;
  int64_t first_bad_target_row_ = kNoRow;
};

// Computes all rows of the job, or as many as it takes to know that there is
// an error.
template <typename Loss>
void ComputeBlocks(const LossJob<Loss>& job, bool rejects, StopCheck stop_check,
                   Findings& findings) {
  const Batch& batch = *job.batch;
  const int64_t block_rows = std::max<int64_t>(1, kBlockLogits / batch.classes);
  const int64_t blocks = (batch.rows + block_rows - 1) / block_rows;
  job.pool->ForEachBlock(blocks, [&](int64_t block) {
    const int64_t first = block * block_rows;
    if (findings.stopped() || findings.first_error_row() < first) return;
    if (absl::Status status = stop_check(); !status.ok()) {
      return findings.Stop(std::move(status));
    }
    findings.Add(
        ComputeRows(job, first, std::min(first + block_rows, batch.rows)),
        rejects);
  });
}

template <typename Loss>
absl::StatusOr<LossSummary> Compute(const Loss& loss,
                                    const LossOptions& options,
                                    const Batch& batch,
                                    const LossOutputs& outputs,
                                    ThreadPool& pool, StopCheck stop_check) {
  if (absl::Status status = CheckLossOptions(options); !status.ok()) {
    return status;
  }
  const LossRules rules = RulesOf(loss);
  if (absl::Status status = CheckRules(rules, batch, outputs); !status.ok()) {
    return status;
  }
  if (absl::Status status = CheckOptions(loss, batch); !status.ok()) {
    return status;
  }
  if (absl::Status status = CheckRowFactors(batch); !status.ok()) return status;
  const absl::StatusOr<CountedRows> counted = CountRows(rules, batch);
  if (!counted.ok()) return counted.status();

  LossSummary summary;
  summary.row_count = counted->rows;
  if (options.reduction == Reduction::kMean) {
    summary.divisor = options.divisor.value_or(counted->weight);
  }
  // Without rows, no bytes stand behind `classes` and the product may overflow.
  const auto row_bytes = [&](ElementType type) {
    return batch.rows == 0 ? 1 : batch.classes * ElementBytes(type);
  };
  const RowSource logits(batch.logits, row_bytes(batch.logits_type));
  std::optional<RowSource> targets;
  if (const auto* t = std::get_if<FloatTargets>(&batch.labels)) {
    targets.emplace(t->data, row_bytes(t->type));
  }
  const LossJob<Loss> job = {
      &loss,    &batch,          &logits, targets ? &*targets : nullptr,
      &outputs, summary.divisor, &pool};
  const bool rejects = options.non_finite_policy == NonFinitePolicy::kReject;
  Findings findings;
  ComputeBlocks(job, rejects, stop_check, findings);
  if (findings.stopped()) return findings.status();
  if (const int64_t row = findings.first_error_row(); row != kNoRow) {
    return row == findings.first_bad_target_row()
               ? TargetError(rules, batch, *targets, row)
               : NonFiniteError(rules, batch, logits, row);
  }
  summary.correct_count = findings.correct_count();
  if (options.reduction != Reduction::kNone) {
    const double reduced = findings.loss().Rounded() / summary.divisor;
    // 0 / 0 has a sign that depends on the machine.
    summary.loss = std::isnan(reduced)
                       ? std::numeric_limits<double>::quiet_NaN()
                       : reduced;
  }
  return summary;
}

}  // namespace

absl::StatusOr<LossSummary> ComputeLoss(
    const LossSpec& spec, const LossOptions& options, const Batch& batch,
    const LossOutputs& outputs, ThreadPool& pool, StopCheck stop_check) {
  return std::visit(
      [&](const auto& loss) {
        return Compute(loss, options, batch, outputs, pool, stop_check);
      },
      spec);
}

}  // namespace lossd::compute
