#include "server/compute/losses/softmax_focal.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/compute/losses/softmax_focal.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/batch_checks.h"
#include "server/compute/exact/fast_results-inl.h"
#include "server/compute/exact/fast_row-inl.h"
#include "server/compute/exact/log-inl.h"
#include "server/compute/exact/power-inl.h"
#include "server/compute/exact/slow_sums-inl.h"
#include "server/compute/exact/vector_pair-inl.h"
#include "server/compute/losses/wide_row-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {
namespace {

// Of one row, without its class weight.
struct Focal {
  Pair loss;
  Pair factor;  // a, by which p_i - [i = y] is multiplied
};

// `sums` times any power of two; `below` how far the label lies below the
// maximum, `log_sum` ln of the sum of exp(z_j - max).
Focal FocalOf(double gamma, const CarefulSums& sums, Pair below, Pair log_sum) {
  const Pair one = {1.0, 0.0};
  if (sums.others.hi == 0.0) return {};  // m = 0 and ln p_y = 0
  if (std::isinf(below.hi)) return {below, one};
  // -ln p_y, without cancellation where p_y is near 1.
  const bool is_near = sums.others.hi * 0x1p-450 < sums.label.hi * 0x1p450;
  const Pair minus_log =
      is_near ? ExactLog1p(sums.others / sums.label) : below + log_sum;
  const Pair minus_log_rest = sums.label.hi == 0.0
                                  ? Pair()
                                  : LogOfOnePlusRatio(sums.label, sums.others);
  const Pair power = PowerOf(-(Pair{gamma, 0.0} * minus_log_rest));
  const Pair total = sums.others + sums.label;
  const Pair p = sums.label / total;
  const Pair rest = sums.others / total;
  // -ln p_y / m, which is 1 where m is next to nothing.
  const Pair ratio = rest.hi < 0x1p-110 ? one : minus_log / rest;
  return {power * minus_log, power * (one + Pair{gamma, 0.0} * (p * ratio))};
}

// Fills gradient with exps_i factor, the exponentials being times
// 2^kCarefulScaleBits.
HWY_NOINLINE void ScaleExps(const double* exps, const double* exps_low,
                            int64_t size, Pair factor, double* gradient) {
  const Doubles d;
  // That goes where it makes nothing subnormal that counts.
  const bool is_small = std::abs(factor.hi) < 0x1p-400;
  const VecPair factors =
      Broadcast(is_small ? factor : Scaled(factor, 0x1p-512));
  const double scale = is_small ? 0x1p-512 : 1.0;
  for (int64_t i = 0; i < size; i += kLanes) {
    const VecPair e = {hn::LoadU(d, exps + i), hn::LoadU(d, exps_low + i)};
    hn::StoreU(Rounded(Mul(Scaled(e, scale), factors)), d, gradient + i);
  }
}

// FocalOf in float64, from the fast sums, where its bounds stay below 2^-41;
// what is narrower than float64 does not see more.
HWY_INLINE std::optional<Focal> NarrowFocalOf(double gamma,
                                              const FastRow& row) {
  // Exponentials far from underflow, whose relative errors stand.
  if (!(row.others > 0x1p-900) || !(row.label > 0x1p-900)) return std::nullopt;
  const double log = FastLog1p(row.others / row.label);       // -ln p_y
  const double log_rest = FastLog1p(row.label / row.others);  // -ln (1 - p_y)
  // A logarithm's relative error is no more than its argument's and its own.
  const double error =
      row.others_error + row.label_error + row.sum_error + 0x1p-48;
  const double exponent = gamma * log_rest;
  if (!(exponent < 600.0) || !(error * (exponent + 1.0) < 0x1p-42)) {
    return std::nullopt;
  }
  const double power = hn::GetLane(FastExp(hn::Set(Doubles(), -exponent)));
  const double sum = row.sum();
  const double ratio = log * sum / row.others;
  const double factor = power * (1.0 + gamma * (row.label / sum * ratio));
  return Focal{{power * log, 0.0}, {factor, 0.0}};
}

// One row of a narrow type by softmax cross-entropy's fast way, whose gradient
// this is but for a factor; false where that is not exact enough.
template <typename T>
bool ComputeNarrowRow(const SoftmaxFocal& loss, const RowOutputs& outputs,
                      int64_t label, RowScratch& scratch, RowSums& sums) {
  RowTask task;
  task.type = outputs.type();
  task.logits = outputs.logits();
  task.classes = outputs.classes();
  task.label = label;
  task.gradient_type = outputs.gradient_type();
  task.gradient = outputs.gradient();
  FastRow row;
  RowScratch::Room(scratch.exps, task.classes + kChunk);
  if (!RunFast<T>(task, scratch, row)) return false;
  const std::optional<Focal> focal = NarrowFocalOf(loss.gamma, row);
  if (!focal) return false;
  const double weight =
      loss.class_weights.empty() ? 1.0 : loss.class_weights[label];
  if (task.gradient != nullptr) {
    const double factor =
        outputs.factor().hi * weight * focal->factor.hi / row.sum();
    // All but the bound, which is for another rounding.
    const auto decide = [&](int64_t i) { return scratch.exps[i] * factor; };
    WriteScaledRow(task, row, scratch, task.gradient_type, factor, 0x1p-42,
                   decide, task.gradient);
    StoreElement(task.gradient_type, (0.0 - row.others) * factor, task.gradient,
                 label);
  }
  outputs.Finish(Pair{weight, 0.0} * focal->loss, label, row.largest, sums);
  return true;
}

}  // namespace

RowSums SoftmaxFocalRows(const LossJob<SoftmaxFocal>& job, int64_t first,
                         int64_t last) {
  const SoftmaxFocal& loss = *job.loss;
  const int64_t classes = job.batch->classes;
  RowScratch& scratch = RowScratch::OfThisThread();
  double* const exps = RowScratch::Room(scratch.target_pairs, classes + kChunk);
  double* const exps_low =
      RowScratch::Room(scratch.target_pairs_low, classes + kChunk);
  const auto compute_narrow = [&](const RowOutputs& outputs, int64_t label,
                                  RowScratch& own, RowSums& sums) {
    switch (outputs.type()) {
      case ElementType::kFloat32:
        return ComputeNarrowRow<float>(loss, outputs, label, own, sums);
      case ElementType::kFloat16:
        return ComputeNarrowRow<Float16>(loss, outputs, label, own, sums);
      case ElementType::kBFloat16:
        return ComputeNarrowRow<BFloat16>(loss, outputs, label, own, sums);
      case ElementType::kFloat64:
        break;
    }
    return false;
  };
  const auto compute = [&](WideRow& row, int64_t label) {
    const double z = row.logits()[label];
    CarefulSums sums = SumCarefully<true>(row.logits(), classes, label,
                                          row.max(), 1.0, exps, exps_low);
    sums.label = CarefulExpOfLogit(z, row.max(), 1.0);
    const Pair total = sums.others + sums.label;
    const Pair below = std::isinf(z) ? Pair{-z, 0.0} : TwoSum(row.max(), -z);
    const Pair log_sum = ExactLog1p(Scaled(total, 0x1p-512) - Pair{1.0, 0.0});
    const Focal focal = FocalOf(loss.gamma, sums, below, log_sum);
    const Pair weight = {
        loss.class_weights.empty() ? 1.0 : loss.class_weights[label], 0.0};
    if (double* gradient = row.gradient(); gradient != nullptr) {
      const Pair factor =
          row.factor() * weight * focal.factor / Scaled(total, 0x1p-512);
      ScaleExps(exps, exps_low, classes, factor, gradient);
      const Pair g = Scaled(sums.others, 0x1p-512) * factor;
      gradient[label] = 0.0 - (g.hi + g.lo);
    }
    // 0 times an infinite distance is 0.
    if (weight.hi == 0.0) return Pair();
    return std::isinf(focal.loss.hi) ? focal.loss : focal.loss * weight;
  };
  return ComputeIndexedRows(job, first, last, compute, compute_narrow);
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd::compute {

HWY_EXPORT(SoftmaxFocalRows);

LossRules RulesOf(const SoftmaxFocal& loss) {
  return {.takes_indices = true,
          .ignore_index = loss.ignore_index,
          .class_weights = loss.class_weights,
          .needs_possible_class = true};
}

absl::Status CheckOptions(const SoftmaxFocal& loss, const Batch&) {
  if (!IsFactor(loss.gamma)) {
    return OptionOutOfRange("gamma", loss.gamma, kFactorRange);
  }
  return CheckFactors("class_weights", loss.class_weights);
}

RowSums ComputeRows(const LossJob<SoftmaxFocal>& job, int64_t first,
                    int64_t last) {
  return HWY_DYNAMIC_DISPATCH(SoftmaxFocalRows)(job, first, last);
}

}  // namespace lossd::compute
#endif  // HWY_ONCE
