#include "server/compute/losses/negative_log_likelihood.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/compute/losses/negative_log_likelihood.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/batch_checks.h"
#include "server/compute/exact/slow_sums-inl.h"
#include "server/compute/exact/vector_pair-inl.h"
#include "server/compute/losses/wide_row-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

RowSums NegativeLogLikelihoodRows(const LossJob<NegativeLogLikelihood>& job,
                                  int64_t first, int64_t last) {
  const absl::Span<const double> weights = job.loss->class_weights;
  return ComputeIndexedRows(job, first, last, [&](WideRow& row, int64_t label) {
    const Pair weight = {weights.empty() ? 1.0 : weights[label], 0.0};
    if (double* gradient = row.gradient(); gradient != nullptr) {
      std::fill_n(gradient, job.batch->classes, 0.0);
      const Pair g = -(weight * row.factor());
      gradient[label] = g.hi + g.lo;
    }
    const double z = row.logits()[label];
    // 0 times an infinite distance is 0.
    if (weight.hi == 0.0) return Pair();
    if (std::isinf(z)) return Pair{-z, 0.0};
    return -(weight * Pair{z, 0.0});
  });
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
