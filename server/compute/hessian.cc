#include "server/compute/hessian.h"

#include <cassert>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/compute/batch_run.h"
#include "server/compute/error.h"
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

// A loss has a Hessian if its header declares MultiplyRows.
template <typename Loss>
concept SecondOrder = requires(const HessianJob<Loss>& job) {
  MultiplyRows(job, int64_t{}, int64_t{});
};

// What is wrong with the vector, or else the logits, of `row`.
absl::Status RowError(const LossRules& rules, const Batch& batch,
                      const RowSource& logits, const RowSource& vector,
                      int64_t row) {
  std::vector<std::byte> scratch;
  const std::byte* const bytes = vector.Row(row, scratch);
  for (int64_t i = 0; i < batch.classes; ++i) {
    const double value = LoadElement(batch.logits_type, bytes, i);
    if (std::isfinite(value)) continue;
    const std::string name = std::isnan(value) ? "nan" : absl::StrCat(value);
    return MakeError(
        absl::StatusCode::kInvalidArgument,
        absl::StrFormat(
            "vector[%d, %d] = %s, want a finite number (row %d, class %d)", row,
            i, name, row, i),
        {"NON_FINITE_VECTOR",
         "vector",
         {{"row", absl::StrCat(row)},
          {"class", absl::StrCat(i)},
          {"value", name}}});
  }
  return NonFiniteError(rules, batch, logits, row);
}

template <typename Loss>
absl::Status Compute(const Loss& loss, const LossOptions& options,
                     const Batch& batch, Pieces vector_pieces,
                     absl::Span<std::byte> product, ThreadPool& pool,
                     StopCheck stop_check) {
  const LossRules rules = RulesOf(loss);
  LossOutputs outputs;
  outputs.gradient = product;
  const absl::StatusOr<CountedRows> counted =
      CheckBatch(loss, rules, options, batch, outputs);
  if (!counted.ok()) return counted.status();
  const RowSource logits = RowsOf(batch, batch.logits_type, batch.logits);
  const RowSource vector = RowsOf(batch, batch.logits_type, vector_pieces);
  const std::optional<RowSource> targets = TargetRowsOf(batch);
  const HessianJob<Loss> job = {
      {&loss, &batch, &logits, targets ? &*targets : nullptr, &outputs,
       DivisorOf(options, *counted), &pool, 0, batch.rows},
      &vector};
  Findings findings;
  ComputeBlocks(
      {0, batch.rows}, batch.classes, options, pool, stop_check,
      [&](int64_t first, int64_t end) { return MultiplyRows(job, first, end); },
      findings);
  if (findings.stopped()) return findings.status();
  const int64_t row = findings.first_error_row();
  if (row == kNoRow) return absl::OkStatus();
  return row == findings.first_bad_target_row()
             ? TargetError(rules, batch, *targets, row)
             : RowError(rules, batch, logits, vector, row);
}

}  // namespace

bool HasHessian(const LossSpec& spec) {
  return std::visit(
      []<typename Loss>(const Loss&) { return SecondOrder<Loss>; }, spec);
}

absl::Status ComputeHessianVectorProduct(const LossSpec& spec,
                                         const LossOptions& options,
                                         const Batch& batch, Pieces vector,
                                         absl::Span<std::byte> product,
                                         ThreadPool& pool,
                                         StopCheck stop_check) {
  return std::visit(
      [&]<typename Loss>(const Loss& loss) -> absl::Status {
        if constexpr (SecondOrder<Loss>) {
          return Compute(loss, options, batch, vector, product, pool,
                         stop_check);
        } else {
          assert(HasHessian(spec));
          return absl::UnimplementedError("a loss without a Hessian");
        }
      },
      spec);
}

}  // namespace lossd::compute
