#include "server/compute/losses/squared_error.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/compute/losses/squared_error_hessian.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/losses/hessian_row-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {
namespace {

// Whatever the logit: -inf is the limit of others.
void MultiplyRow(const HessianRow& row) {
  MultiplyDiagonal(row, 0, [](int64_t) HWY_ATTR { return PairOf(2.0); });
}

}  // namespace

RowSums SquaredErrorProducts(const HessianJob<SquaredError>& job, int64_t first,
                             int64_t last) {
  return MultiplyEachRow(job, first, last, MultiplyRow);
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd::compute {

HWY_EXPORT(SquaredErrorProducts);

RowSums MultiplyRows(const HessianJob<SquaredError>& job, int64_t first,
                     int64_t last) {
  return HWY_DYNAMIC_DISPATCH(SquaredErrorProducts)(job, first, last);
}

}  // namespace lossd::compute
#endif  // HWY_ONCE
