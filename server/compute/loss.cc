#include "server/compute/loss.h"

#include "server/compute/loss_stream.h"

namespace lossd::compute {

absl::StatusOr<LossSummary> ComputeLoss(
    const LossSpec& spec, const LossOptions& options, const Batch& batch,
    const LossOutputs& outputs, ThreadPool& pool, StopCheck stop_check) {
  absl::StatusOr<LossStream> stream =
      LossStream::Start(spec, options, batch, outputs);
  if (!stream.ok()) return stream.status();
  if (batch.rows > 0) {
    const absl::Status status = stream->Add(batch.rows, batch.logits,
                                            outputs.gradient, pool, stop_check);
    if (!status.ok()) return status;
  }
  return stream->Summary();
}

}  // namespace lossd::compute
