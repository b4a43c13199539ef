#include "server/compute/losses/kl_divergence.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/compute/losses/kl_divergence_hessian.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/losses/softmax_hessian-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {
namespace {

// The sum of a row, none of it negative. Accuracy: relative error under 2^-84.
Pair SumOf(const double* values, int64_t size) {
  const Doubles d;
  VecPair sums[kVectors];
  for (auto& sum : sums) sum = PairOf(0.0);
  for (int64_t i = 0; i < size; i += kChunk) {
    for (int64_t v = 0; v < kVectors; ++v) {
      sums[v] = Add(
          sums[v], VecPair{hn::LoadU(d, values + i + v * kLanes), hn::Zero(d)});
    }
  }
  return SumOfLanes(sums);
}

// T and T^2 / T^2 cancel: Q p o (v - p . v) at p = softmax(z / T).
void MultiplyRow(const KlDivergence& loss, const HessianRow& row,
                 RowScratch& scratch) {
  const Pair one = {1.0, 0.0};
  const Pair teacher =
      loss.targets_are_logits ? one : SumOf(row.targets, row.classes);
  SoftmaxRow softmax(row, one / Pair{loss.temperature, 0.0}, scratch);
  const SoftmaxSums sums = softmax.Sum(softmax.largest_class());
  const Pair total = sums.total();
  softmax.Write(row.factor * teacher / total, total, total,
                -sums.vector_total());
}

}  // namespace

RowSums KlDivergenceProducts(const HessianJob<KlDivergence>& job, int64_t first,
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

HWY_EXPORT(KlDivergenceProducts);

RowSums MultiplyRows(const HessianJob<KlDivergence>& job, int64_t first,
                     int64_t last) {
  return HWY_DYNAMIC_DISPATCH(KlDivergenceProducts)(job, first, last);
}

}  // namespace lossd::compute
#endif  // HWY_ONCE
