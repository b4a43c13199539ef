#include "server/compute/loss_stream.h"

#include <cassert>
#include <cmath>
#include <limits>
#include <utility>
#include <variant>

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

LossStream::LossStream(const LossSpec& spec, const LossOptions& options,
                       const Batch& batch, const LossOutputs& outputs)
    : spec_(spec),
      options_(options),
      batch_(batch),
      outputs_(outputs),
      targets_(TargetRowsOf(batch).value_or(RowSource({}, 1))) {}

absl::StatusOr<LossStream> LossStream::Start(const LossSpec& spec,
                                             const LossOptions& options,
                                             const Batch& batch,
                                             const LossOutputs& outputs) {
  const absl::StatusOr<CountedRows> counted = std::visit(
      [&](const auto& loss) {
        return CheckBatch(loss, RulesOf(loss), options, batch, outputs);
      },
      spec);
  if (!counted.ok()) return counted.status();
  LossStream stream(spec, options, batch, outputs);
  stream.summary_.row_count = counted->rows;
  stream.summary_.divisor = DivisorOf(options, *counted);
  return stream;
}

template <typename Loss>
absl::Status LossStream::Compute(const Loss& loss, int64_t rows, Pieces logits,
                                 absl::Span<std::byte> gradient,
                                 ThreadPool& pool, StopCheck stop_check) {
  const RowRun run = {next_row_, next_row_ + rows};
  const RowSource logit_rows(
      logits, batch_.classes * ElementBytes(batch_.logits_type), run.first);
  const bool has_targets = std::holds_alternative<FloatTargets>(batch_.labels);
  LossOutputs outputs = outputs_;
  outputs.gradient = gradient;
  const LossJob<Loss> job = {&loss,       &batch_,
                             &logit_rows, has_targets ? &targets_ : nullptr,
                             &outputs,    summary_.divisor,
                             &pool,       run.first,
                             run.end};
  Findings findings;
  ComputeBlocks(
      run, batch_.classes, options_, pool, stop_check,
      [&](int64_t first, int64_t end) { return ComputeRows(job, first, end); },
      findings);
  if (findings.stopped()) return findings.status();
  if (const int64_t row = findings.first_error_row(); row != kNoRow) {
    const LossRules rules = RulesOf(loss);
    return row == findings.first_bad_target_row()
               ? TargetError(rules, batch_, targets_, row)
               : NonFiniteError(rules, batch_, logit_rows, row);
  }
  loss_.Add(findings.loss());
  summary_.correct_count += findings.correct_count();
  next_row_ = run.end;
  return absl::OkStatus();
}

absl::Status LossStream::Add(int64_t rows, Pieces logits,
                             absl::Span<std::byte> gradient, ThreadPool& pool,
                             StopCheck stop_check) {
  assert(rows >= 1 && rows <= rows_left());
  return std::visit(
      [&](const auto& loss) {
        return Compute(loss, rows, logits, gradient, pool, stop_check);
      },
      spec_);
}

LossSummary LossStream::Summary() const {
  assert(rows_left() == 0);
  LossSummary summary = summary_;
  if (options_.reduction != Reduction::kNone) {
    const double reduced = loss_.Rounded() / summary.divisor;
    // 0 / 0 has a sign that depends on the machine.
    summary.loss = std::isnan(reduced)
                       ? std::numeric_limits<double>::quiet_NaN()
                       : reduced;
  }
  return summary;
}

}  // namespace lossd::compute
