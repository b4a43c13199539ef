#include "server/compute/loss.h"

#include <cmath>
#include <limits>
#include <optional>

#include "server/compute/batch_run.h"
#include "server/compute/losses/huber.h"
#include "server/compute/losses/kl_divergence.h"
#include "server/compute/losses/multiclass_hinge.h"
#include "server/compute/losses/negative_log_likelihood.h"
#include "server/compute/losses/sigmoid_cross_entropy.h"
#include "server/compute/losses/sigmoid_focal.h"
#include "server/compute/losses/softmax_cross_entropy.h"
#include "server/compute/losses/softmax_focal.h"
#include "server/compute/losses/squared_error.h"

namespace lossd::compute {
namespace {

template <typename Loss>
absl::StatusOr<LossSummary> Compute(const Loss& loss,
                                    const LossOptions& options,
                                    const Batch& batch,
                                    const LossOutputs& outputs,
                                    ThreadPool& pool, StopCheck stop_check) {
  const LossRules rules = RulesOf(loss);
  const absl::StatusOr<CountedRows> counted =
      CheckBatch(loss, rules, options, batch, outputs);
  if (!counted.ok()) return counted.status();

  LossSummary summary;
  summary.row_count = counted->rows;
  summary.divisor = DivisorOf(options, *counted);
  const RowSource logits = RowsOf(batch, batch.logits_type, batch.logits);
  const std::optional<RowSource> targets = TargetRowsOf(batch);
  const LossJob<Loss> job = {
      &loss,    &batch,          &logits, targets ? &*targets : nullptr,
      &outputs, summary.divisor, &pool};
  Findings findings;
  ComputeBlocks(
      batch, options, pool, stop_check,
      [&](int64_t first, int64_t last) {
        return ComputeRows(job, first, last);
      },
      findings);
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
