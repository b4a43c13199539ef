#include "server/compute/losses/huber.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/compute/losses/huber_hessian.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/losses/hessian_row-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {
namespace {

void MultiplyRow(double delta, const HessianRow& row) {
  MultiplyDiagonal(row, 0, [&](int64_t i) HWY_ATTR {
    const Doubles d;
    const VecD deltas = hn::Set(d, delta);
    const VecPair difference = TwoSum(hn::LoadU(d, row.logits + i),
                                      hn::Neg(hn::LoadU(d, row.targets + i)));
    const auto negative = hn::Lt(difference.hi, hn::Zero(d));
    const VecPair size = Select(negative, Neg(difference), difference);
    // |z - t| <= delta, also by its low half; -inf is not.
    const auto inside =
        hn::Or(hn::Lt(size.hi, deltas),
               hn::And(hn::Eq(size.hi, deltas), hn::Le(size.lo, hn::Zero(d))));
    return ZeroUnless(inside, PairOf(1.0));
  });
}

}  // namespace

RowSums HuberProducts(const HessianJob<Huber>& job, int64_t first,
                      int64_t last) {
  return MultiplyEachRow(job, first, last, [&](const HessianRow& row) {
    MultiplyRow(job.rows.loss->delta, row);
  });
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd::compute {

HWY_EXPORT(HuberProducts);

RowSums MultiplyRows(const HessianJob<Huber>& job, int64_t first,
                     int64_t last) {
  return HWY_DYNAMIC_DISPATCH(HuberProducts)(job, first, last);
}

}  // namespace lossd::compute
#endif  // HWY_ONCE
