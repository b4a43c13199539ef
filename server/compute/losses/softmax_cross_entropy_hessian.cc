#include "server/compute/losses/softmax_cross_entropy.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE \
  "server/compute/losses/softmax_cross_entropy_hessian.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/exact/log-inl.h"
#include "server/compute/exact/row_task.h"
#include "server/compute/exact/targets-inl.h"
#include "server/compute/losses/softmax_hessian-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {
namespace {

// sum_j q_j of a row, to a relative error under 2^-84: the targets' effective
// weights, which are never negative.
class TargetTotals {
 public:
  TargetTotals(const SoftmaxCrossEntropy& loss, int64_t classes,
               RowScratch& scratch)
      : scratch_(scratch) {
    task_.classes = classes;
    task_.targets.smoothing = loss.label_smoothing;
    if (!loss.class_weights.empty()) {
      task_.targets.class_weights = loss.class_weights.data();
    }
  }

  Pair Of(const HessianRow& row) {
    if (row.targets != nullptr) {
      task_.targets.type = ElementType::kFloat64;
      task_.targets.probabilities =
          reinterpret_cast<const std::byte*>(row.targets);
      return Sum(kNoLabel);
    }
    task_.label = row.label;
    const Pair own = TargetWeight(task_, row.label);
    if (task_.targets.smoothing == 0.0) return own;
    // (1 - smoothing) w_y + smoothing / C sum_j w_j.
    if (!has_spread_) {
      spread_ = Sum(kNoLabel);
      has_spread_ = true;
    }
    const double weight = task_.targets.class_weight(row.label);
    return spread_ + TwoSum(1.0, -task_.targets.smoothing) * Pair{weight, 0.0};
  }

 private:
  // Of all classes, none of them a label.
  HWY_NOINLINE Pair Sum(int64_t label) {
    const Doubles d;
    task_.label = label;
    const int64_t room = task_.classes + kChunk;
    double* const q = RowScratch::Room(scratch_.target_pairs, room);
    double* const q_low = RowScratch::Room(scratch_.target_pairs_low, room);
    FillTargets(task_, q, q_low);
    VecPair sums[kVectors];
    for (auto& sum : sums) sum = PairOf(0.0);
    for (int64_t i = 0; i < task_.classes; i += kChunk) {
      for (int64_t v = 0; v < kVectors; ++v) {
        const int64_t at = i + v * kLanes;
        sums[v] =
            Add(sums[v], {hn::LoadU(d, q + at), hn::LoadU(d, q_low + at)});
      }
    }
    return SumOfLanes(sums);
  }

  RowTask task_;
  RowScratch& scratch_;
  bool has_spread_ = false;
  Pair spread_;
};

// scale^2 p_i [T (v_i - p . v) + 2 z_loss (p . v)], T = sum q + 2 z_loss lse.
void MultiplyRow(const SoftmaxCrossEntropy& loss, Pair target_total,
                 const HessianRow& row, RowScratch& scratch) {
  SoftmaxRow softmax(row, loss.logit_scale, scratch);
  const SoftmaxSums sums = softmax.Sum(softmax.largest_class());
  const Pair total = sums.total(), vector_total = sums.vector_total();
  const Pair scale = {loss.logit_scale, 0.0};
  const Pair factor = row.factor * scale * scale / total;
  if (loss.z_loss == 0.0) {
    return softmax.Write(factor * target_total, total, total, -vector_total);
  }
  const Pair twice = {2.0 * loss.z_loss, 0.0};
  const Pair log_sum_exp =
      Pair{row.max, 0.0} * scale + ExactLog1p(Scaled(sums.others, 0x1p-512));
  const Pair t = target_total + twice * log_sum_exp;
  const Pair vector_sum =
      vector_total + total * Pair{softmax.largest_vector(), 0.0};
  softmax.Write(factor, total, t * total,
                twice * vector_sum - t * vector_total);
}

}  // namespace

RowSums SoftmaxCrossEntropyProducts(const HessianJob<SoftmaxCrossEntropy>& job,
                                    int64_t first, int64_t last) {
  const SoftmaxCrossEntropy& loss = *job.rows.loss;
  RowScratch& scratch = RowScratch::OfThisThread();
  TargetTotals totals(loss, job.rows.batch->classes, scratch);
  return MultiplyEachRow(job, first, last, [&](const HessianRow& row) {
    MultiplyRow(loss, totals.Of(row), row, scratch);
  });
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd::compute {

HWY_EXPORT(SoftmaxCrossEntropyProducts);

RowSums MultiplyRows(const HessianJob<SoftmaxCrossEntropy>& job, int64_t first,
                     int64_t last) {
  return HWY_DYNAMIC_DISPATCH(SoftmaxCrossEntropyProducts)(job, first, last);
}

}  // namespace lossd::compute
#endif  // HWY_ONCE
