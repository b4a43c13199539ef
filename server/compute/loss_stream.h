// A batch that comes in chunks of rows: memory for a chunk, the bits of the
// whole.
#ifndef LOSSD_SERVER_COMPUTE_LOSS_STREAM_H_
#define LOSSD_SERVER_COMPUTE_LOSS_STREAM_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/compute/exact_sum.h"
#include "server/compute/loss.h"
#include "server/compute/row_source.h"

namespace lossd::compute {

// Computes a loss as ComputeLoss does, the logits of a few rows at a time:
//
//   Start(batch without logits) -> Add(rows)... -> Summary()
//
// Results are those of ComputeLoss, bit for bit, however the rows are divided.
//
// Threads: one at a time; Add shares the work out over its pool.
class LossStream {
 public:
  // Checks everything but logits and float targets, which Add looks at. What
  // `spec`, `batch` and `outputs` view outlives the stream. `batch.logits` and
  // `outputs.gradient` are not looked at; all other outputs are of the whole
  // batch.
  //
  // Errors: InvalidArgument: as ComputeLoss, but for the contents of rows.
  static absl::StatusOr<LossStream> Start(const LossSpec& spec,
                                          const LossOptions& options,
                                          const Batch& batch,
                                          const LossOutputs& outputs);

  // Computes the next rows: `logits` [rows * classes], `gradient` as many of
  // the gradient's type, or empty.
  //
  // Errors: InvalidArgument: as ComputeLoss, rows counted from the batch's
  //   first; whatever `stop_check` returns. The stream is then of no more use.
  // REQUIRES: 1 <= rows <= rows_left().
  absl::Status Add(int64_t rows, Pieces logits, absl::Span<std::byte> gradient,
                   ThreadPool& pool, StopCheck stop_check);

  int64_t next_row() const { return next_row_; }
  int64_t rows_left() const { return batch_.rows - next_row_; }

  // REQUIRES: rows_left() == 0.
  LossSummary Summary() const;

 private:
  LossStream(const LossSpec& spec, const LossOptions& options,
             const Batch& batch, const LossOutputs& outputs);

  template <typename Loss>
  absl::Status Compute(const Loss& loss, int64_t rows, Pieces logits,
                       absl::Span<std::byte> gradient, ThreadPool& pool,
                       StopCheck stop_check);

  LossSpec spec_;
  LossOptions options_;
  Batch batch_;
  LossOutputs outputs_;
  RowSource targets_;    // without rows, if labels are class indices
  LossSummary summary_;  // but for the loss
  ExactSum loss_;
  int64_t next_row_ = 0;
};

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_LOSS_STREAM_H_
