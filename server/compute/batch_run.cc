#include "server/compute/batch_run.h"

#include "server/compute/exact/row_scratch.h"

namespace lossd::compute {
namespace {

// Rows are shared out and stop checks made in blocks of about this many logits:
// some 30 us of work, so that neither costs anything.
constexpr int64_t kBlockLogits = 32768;

int64_t Earlier(int64_t row, int64_t first) {
  return row < 0 ? first : std::min(row, first);
}

}  // namespace

void Findings::Stop(absl::Status status) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (status_.ok()) status_ = std::move(status);
  stopped_.store(true, std::memory_order_relaxed);
}

void Findings::Add(const RowSums& sums, bool rejects) {
  const std::lock_guard<std::mutex> lock(mutex_);
  loss_.Add(sums.loss);
  correct_count_ += sums.correct_count;
  if (rejects) first_bad_row_ = Earlier(sums.first_bad_row, first_bad_row_);
  first_bad_target_row_ =
      Earlier(sums.first_bad_target_row, first_bad_target_row_);
  first_error_row_.store(std::min(first_bad_row_, first_bad_target_row_),
                         std::memory_order_relaxed);
}

void ComputeBlocks(RowRun run, int64_t classes, const LossOptions& options,
                   ThreadPool& pool, StopCheck stop_check,
                   absl::FunctionRef<RowSums(int64_t, int64_t)> compute_rows,
                   Findings& findings) {
  const bool rejects = options.non_finite_policy == NonFinitePolicy::kReject;
  const int64_t block_rows = std::max<int64_t>(1, kBlockLogits / classes);
  const int64_t rows = run.end - run.first;
  const int64_t blocks = (rows + block_rows - 1) / block_rows;
  pool.ForEachBlock(blocks, [&](int64_t block) {
    const int64_t first = run.first + block * block_rows;
    if (findings.stopped() || findings.first_error_row() < first) return;
    if (absl::Status status = stop_check(); !status.ok()) {
      return findings.Stop(std::move(status));
    }
    findings.Add(compute_rows(first, std::min(first + block_rows, run.end)),
                 rejects);
  });
  RowScratch::TrimOfThisThread(pool.threads());
}

}  // namespace lossd::compute
