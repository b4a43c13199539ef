#include "server/compute/losses/softmax_focal.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/compute/losses/softmax_focal_hessian.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/exact/log-inl.h"
#include "server/compute/exact/power-inl.h"
#include "server/compute/losses/softmax_hessian-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {
namespace {

// With p = p_y, m = 1 - p, l = -ln p, d = sum_{j != y} p_j (v_j - v_y) / m:
//
//   i != y:  p_i m^gamma (a (v_i - p . v) + g d)      a = 1 + gamma p l / m
//   y:       -p m^(gamma+1) d (a + g / p)    g = gamma p (2 - l + (gamma-1) p
//                                                l / m)
// Nothing here grows as p goes to 1, also for gamma < 1: l / m goes to 1.
struct Curvature {
  Pair power;     // m^gamma
  Pair slope;     // a
  Pair direct;    // g
  Pair of_label;  // a + g / p
};

// REQUIRES: others > 0, that is m > 0. `apart` may be 0: the label is
// impossible, or as good as that.
Curvature CurvatureOf(double gamma_value, const SoftmaxSums& sums, Pair below) {
  const Pair one = {1.0, 0.0}, two = {2.0, 0.0}, gamma = {gamma_value, 0.0};
  if (sums.apart.hi == 0.0) return {one, one, Pair(), Pair()};
  // As SoftmaxFocal's loss: -ln p without cancellation where p is near 1.
  const bool is_near = sums.others.hi * 0x1p-450 < sums.apart.hi * 0x1p450;
  const Pair minus_log = is_near ? ExactLog1p(sums.others / sums.apart)
                                 : below + ExactLog1p(sums.total() - one);
  const Pair minus_log_rest = LogOfOnePlusRatio(sums.apart, sums.others);
  const Pair all = sums.others + sums.apart;
  const Pair p = sums.apart / all;
  const Pair rest = sums.others / all;
  const Pair ratio = p * (rest.hi < 0x1p-110 ? one : minus_log / rest);
  const Pair inner = two - minus_log + (gamma - one) * ratio;
  const Pair slope = one + gamma * ratio;
  return {PowerOf(-(gamma * minus_log_rest)), slope, gamma * p * inner,
          slope + gamma * inner};
}

void MultiplyRow(const SoftmaxFocal& loss, const HessianRow& row,
                 RowScratch& scratch) {
  SoftmaxRow softmax(row, Pair{1.0, 0.0}, scratch);
  const SoftmaxSums sums = softmax.Sum(row.label);
  if (sums.others.hi == 0.0) {  // m = 0
    std::fill_n(row.product, row.classes, 0.0);
    return;
  }
  const double label_logit = row.logits[row.label];
  const Curvature curvature =
      CurvatureOf(loss.gamma, sums, TwoSum(row.max, -label_logit));
  const double weight =
      loss.class_weights.empty() ? 1.0 : loss.class_weights[row.label];
  const Pair factor = row.factor * Pair{weight, 0.0} * curvature.power;
  const Pair total = sums.total(), vector_total = sums.vector_total();
  const Pair distance =
      sums.others_vector / sums.others - sums.apart_vector;  // d
  softmax.Write(
      factor, total, curvature.slope,
      curvature.direct * distance - curvature.slope * vector_total / total);
  const Pair all = sums.others + sums.apart;
  const Pair label_share = sums.apart / all * (sums.others / all);
  softmax.Set(row.label,
              -(factor * label_share) * (distance * curvature.of_label));
}

}  // namespace

RowSums SoftmaxFocalProducts(const HessianJob<SoftmaxFocal>& job, int64_t first,
                             int64_t last) {
  RowScratch& scratch = RowScratch::OfThisThread();
  return MultiplyEachRow(job, first, last, [&](const HessianRow& row) {
    MultiplyRow(*job.rows.loss, row, scratch);
  });
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd::compute {

HWY_EXPORT(SoftmaxFocalProducts);

RowSums MultiplyRows(const HessianJob<SoftmaxFocal>& job, int64_t first,
                     int64_t last) {
  return HWY_DYNAMIC_DISPATCH(SoftmaxFocalProducts)(job, first, last);
}

}  // namespace lossd::compute
#endif  // HWY_ONCE
