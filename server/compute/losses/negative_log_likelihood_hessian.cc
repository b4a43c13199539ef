#include <algorithm>

#include "server/compute/losses/negative_log_likelihood.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE \
  "server/compute/losses/negative_log_likelihood_hessian.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/losses/hessian_row-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {
namespace {

void MultiplyRow(const HessianRow& row) {
  std::fill_n(row.product, row.classes, 0.0);
}

}  // namespace

RowSums NegativeLogLikelihoodProducts(
    const HessianJob<NegativeLogLikelihood>& job, int64_t first, int64_t last) {
  return MultiplyEachRow(job, first, last, MultiplyRow);
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd::compute {

HWY_EXPORT(NegativeLogLikelihoodProducts);

RowSums MultiplyRows(const HessianJob<NegativeLogLikelihood>& job,
                     int64_t first, int64_t last) {
  return HWY_DYNAMIC_DISPATCH(NegativeLogLikelihoodProducts)(job, first, last);
}

}  // namespace lossd::compute
#endif  // HWY_ONCE
