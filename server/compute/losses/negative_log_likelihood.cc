#include "server/compute/losses/negative_log_likelihood.h"

#include <cmath>
#include <cstring>
#include <variant>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/compute/losses/negative_log_likelihood.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/batch_checks.h"
#include "server/compute/exact/rounding-inl.h"
#include "server/compute/exact/row_scratch.h"
#include "server/compute/losses/row_outputs-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

namespace {

// One row: nothing but the label's logit counts, but all are looked at.
void ComputeRow(const RowOutputs& row, int64_t label, double weight,
                RowSums& sums) {
  const Maximum max = row.Largest();
  if (!max.in_range) {
    sums.correct_count += row.Prediction() == label;
    return row.FinishUndefined(sums);
  }
  if (std::byte* gradient = row.gradient(); gradient != nullptr) {
    const ElementType type = row.gradient_type();
    std::memset(gradient, 0, row.classes() * ElementBytes(type));
    StoreElement(type, RoundTo(type, -(Pair{weight, 0.0} * row.factor())),
                 gradient, label);
  }
  const double z = row.Logit(label);
  // 0 times an infinite distance is 0.
  const Pair loss = weight == 0.0   ? Pair()
                    : std::isinf(z) ? Pair{-z, 0.0}
                                    : -(Pair{weight, 0.0} * Pair{z, 0.0});
  row.Finish(loss, label, max.value, sums);
}

}  // namespace

RowSums NegativeLogLikelihoodRows(const LossJob<NegativeLogLikelihood>& job,
                                  int64_t first, int64_t last) {
  const absl::Span<const double> weights = job.loss->class_weights;
  const auto& labels = std::get<ClassIndices>(job.batch->labels);
  RowScratch& scratch = RowScratch::OfThisThread();
  RowSums sums;
  for (int64_t r = first; r < last; ++r) {
    const RowOutputs row(job, r, scratch);
    const int64_t label = labels[r];
    if (label == job.loss->ignore_index) {
      row.FinishIgnored(sums);
    } else {
      ComputeRow(row, label, weights.empty() ? 1.0 : weights[label], sums);
    }
  }
  return sums;
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd::compute {

HWY_EXPORT(NegativeLogLikelihoodRows);

LossRules RulesOf(const NegativeLogLikelihood& loss) {
  return {.takes_indices = true,
          .ignore_index = loss.ignore_index,
          .class_weights = loss.class_weights};
}

absl::Status CheckOptions(const NegativeLogLikelihood& loss, const Batch&) {
  return CheckFactors("class_weights", loss.class_weights);
}

RowSums ComputeRows(const LossJob<NegativeLogLikelihood>& job, int64_t first,
                    int64_t last) {
  return HWY_DYNAMIC_DISPATCH(NegativeLogLikelihoodRows)(job, first, last);
}

}  // namespace lossd::compute
#endif  // HWY_ONCE
