#include <algorithm>
#include <cmath>

#include "server/compute/losses/softmax_cross_entropy.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE \
  "server/compute/losses/softmax_cross_entropy_hessian.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/exact/log-inl.h"
#include "server/compute/exact/row_task.h"
#include "server/compute/exact/softcap-inl.h"
#include "server/compute/exact/targets-inl.h"
#include "server/compute/losses/softmax_hessian-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {
namespace {

// The task of q, the targets' effective weights (row_task.h).
RowTask TargetTask(const SoftmaxCrossEntropy& loss, int64_t classes) {
  RowTask task;
  task.type = task.targets.type = ElementType::kFloat64;
  task.classes = classes;
  task.scale = loss.logit_scale;
  task.targets.smoothing = loss.label_smoothing;
  if (!loss.class_weights.empty()) {
    task.targets.class_weights = loss.class_weights.data();
  }
  return task;
}

// Sets the row's own part of it; the largest target is the label.
void SetTargets(const HessianRow& row, RowTask& task) {
  task.logits = reinterpret_cast<const std::byte*>(row.logits);
  task.label = row.label;
  if (row.targets == nullptr) return;
  task.targets.probabilities = reinterpret_cast<const std::byte*>(row.targets);
  const double largest =
      *std::max_element(row.targets, row.targets + row.classes);
  task.label =
      FirstIndexOf<double>(largest, task.targets.probabilities, row.classes);
}

// q but for the label's, where that is 0, and what they add up to; none is
// negative.
struct OtherTargets {
  const double* q;  // [classes] and a chunk of zeros
  const double* q_low;
  Pair sum;  // to a relative error under 2^-84
};
HWY_NOINLINE OtherTargets FillOthers(const RowTask& task, double* q,
                                     double* q_low) {
  const Doubles d;
  FillTargets(task, q, q_low);
  VecPair sums[kVectors];
  for (auto& sum : sums) sum = PairOf(0.0);
  for (int64_t i = 0; i < task.classes; i += kChunk) {
    for (int64_t v = 0; v < kVectors; ++v) {
      const int64_t at = i + v * kLanes;
      sums[v] = Add(sums[v], {hn::LoadU(d, q + at), hn::LoadU(d, q_low + at)});
    }
  }
  return {q, q_low, SumOfLanes(sums)};
}

// scale^2 p_i [T (v_i - p . v) + 2 z_loss (p . v)], T = sum q + 2 z_loss lse.
void MultiplyRow(const SoftmaxCrossEntropy& loss, Pair target_total,
                 const HessianRow& row, RowScratch& scratch) {
  const Pair scale = {loss.logit_scale, 0.0};
  SoftmaxRow softmax(row, scale, scratch);
  const SoftmaxSums sums = softmax.Sum(softmax.largest_class());
  const Pair total = sums.total(), vector_total = sums.vector_total();
  const Pair factor = row.factor * scale * scale / total;
  if (loss.z_loss == 0.0) {
    return softmax.Write(factor * target_total, total, total, -vector_total);
  }
  const Pair twice = {2.0 * loss.z_loss, 0.0};
  const Pair log_sum_exp =
      Pair{row.max, 0.0} * scale + ExactLog1p(Scaled(sums.others, 0x1p-512));
  const Pair t = target_total + twice * log_sum_exp;
  const Pair vector_sum = vector_total + total * softmax.largest_vector();
  softmax.Write(factor, total, t * total,
                twice * vector_sum - t * vector_total);
}

// What a capped row's product is made of, all over S.
struct CappedTerms {
  Pair factor;  // of everything
  Pair total;   // S
  Pair slope;   // of u_i
  Pair offset;
  Pair target_total;    // T
  Pair label_gradient;  // d(loss)/da at the label, where T p - q cancels
};

// Fills the product with
//
//   a'_i (p_i (slope u_i + offset) + g_i (a''_i / a'_i) v_i),  u = a' o v
//
// g the gradient in a, a' = scale (1 - tanh^2), a'' = -2 a' tanh / cap.
HWY_NOINLINE void WriteCapped(const HessianRow& row, int64_t label,
                              const SoftmaxRow& softmax,
                              const CappedLogits& capped,
                              const OtherTargets& others,
                              const CappedTerms& terms) {
  const Doubles d;
  const VecD reach = hn::Set(d, kCapReach * capped.cap);
  const Pair inverse_cap = Pair{1.0, 0.0} / Pair{capped.cap, 0.0};
  const VecPair inverse = Broadcast(inverse_cap);
  const VecPair minus_two = Broadcast(Scaled(inverse_cap, -2.0));
  const VecPair inverse_total = Broadcast(Pair{1.0, 0.0} / terms.total);
  const VecPair slopes = Broadcast(terms.slope);
  const VecPair offsets = Broadcast(terms.offset);
  const VecPair target_total = Broadcast(terms.target_total);
  const bool is_small = std::abs(terms.factor.hi) < 0x1p-400;
  const VecPair factors =
      Broadcast(is_small ? terms.factor : Scaled(terms.factor, kUnscaleSlope));
  const double slope_scale = is_small ? kUnscaleSlope : 1.0;
  for (int64_t i = 0; i < row.classes; i += kLanes) {
    const VecPair p = Mul(softmax.ScaledExp(i, 0x1p-512), inverse_total);
    const VecPair inner = Add(Mul(slopes, softmax.Shifted(i)), offsets);
    const VecPair q = {hn::LoadU(d, others.q + i),
                       hn::LoadU(d, others.q_low + i)};
    const VecPair g =
        Select(IsNot(label, i, 0), Add(Mul(target_total, p), Neg(q)),
               Broadcast(terms.label_gradient));
    const VecPair x = CapQuotient(hn::LoadU(d, row.logits + i), reach, inverse);
    const auto negative = hn::Lt(x.hi, hn::Zero(d));
    const VecPair size =
        Div(OneLessExp(Select(negative, Neg(x), x)),
            Add(PairOf(1.0), Scaled(ScaledTail(x), kUnscaleSlope)));
    const VecPair tanh = Select(negative, Neg(size), size);
    const VecPair v = {hn::LoadU(d, row.vector + i), hn::Zero(d)};
    const VecPair bend = Mul(Mul(g, v), Mul(tanh, minus_two));
    const VecPair cap_slope = {hn::LoadU(d, capped.slopes + i),
                               hn::LoadU(d, capped.slopes_low + i)};
    const VecPair product = Mul(Mul(Scaled(cap_slope, slope_scale), factors),
                                Add(Mul(p, inner), bend));
    hn::StoreU(
        hn::Add(Rounded(Scaled(product, softmax.vector_size())), hn::Zero(d)),
        d, row.product + i);
  }
}

void MultiplyCappedRow(const SoftmaxCrossEntropy& loss, const RowTask& task,
                       const OtherTargets& others, Pair own_target,
                       const HessianRow& row, RowScratch& scratch) {
  const CappedLogits capped =
      CapLogits(task, row.max, *loss.logit_softcap, scratch);
  const int64_t room = row.classes + kChunk;
  SoftmaxRow softmax(row, Pair{loss.logit_scale, 0.0}, scratch,
                     {&capped, RowScratch::Room(scratch.capped_vector[0], room),
                      RowScratch::Room(scratch.capped_vector[1], room)});
  const SoftmaxSums sums = softmax.Sum(task.label);
  const Pair total = sums.total(), vector_total = sums.vector_total();
  const Pair twice = {2.0 * loss.z_loss, 0.0};
  Pair others_total = others.sum;
  if (loss.z_loss != 0.0) {
    others_total = others_total + twice * (Pair{capped.max, capped.max_low} +
                                           ExactLog1p(total - Pair{1.0, 0.0}));
  }
  const Pair all = sums.others + sums.apart;
  CappedTerms terms;
  terms.factor = row.factor * Pair{loss.logit_scale, 0.0};
  terms.total = total;
  terms.target_total = others_total + own_target;
  terms.slope = terms.target_total;
  const Pair vector_sum = vector_total + total * softmax.largest_vector();
  terms.offset =
      (twice * vector_sum - terms.target_total * vector_total) / total;
  terms.label_gradient =
      others_total * (sums.apart / all) - own_target * (sums.others / all);
  WriteCapped(row, task.label, softmax, capped, others, terms);
}

}  // namespace

RowSums SoftmaxCrossEntropyProducts(const HessianJob<SoftmaxCrossEntropy>& job,
                                    int64_t first, int64_t last) {
  const SoftmaxCrossEntropy& loss = *job.rows.loss;
  RowScratch& scratch = RowScratch::OfThisThread();
  RowTask task = TargetTask(loss, job.rows.batch->classes);
  const int64_t room = task.classes + kChunk;
  double* const q = RowScratch::Room(scratch.teacher_exps, room);
  double* const q_low = RowScratch::Room(scratch.teacher_exps_low, room);
  OtherTargets others = {q, q_low, Pair()};
  return MultiplyEachRow(job, first, last, [&](const HessianRow& row) {
    SetTargets(row, task);
    const bool is_sparse = row.targets == nullptr && !loss.logit_softcap &&
                           loss.label_smoothing == 0.0;
    if (!is_sparse) others = FillOthers(task, q, q_low);
    const Pair own = TargetWeight(task, task.label);
    if (loss.logit_softcap) {
      MultiplyCappedRow(loss, task, others, own, row, scratch);
    } else {
      MultiplyRow(loss, others.sum + own, row, scratch);
    }
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
