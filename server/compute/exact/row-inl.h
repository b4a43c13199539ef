// One row of softmax cross-entropy. Included once per instruction set.
//
// With x_j = scale z_j - o, o an offset near the row's maximum, e_j = exp(x_j),
// y the label, others = sum_{j != y} e_j and S = others + e_y (row_task.h has
// the formula):
//   loss = q_y ln(1 + others / e_y) + sum_{j != y} q_j (ln S - x_j) + ...
//   gradient_i = k (total e_i / S - q_i)
//   gradient_y = k ((total - q_y) e_y - q_y others) / S
// so that neither p_y - 1 nor lse - z_y is ever formed: both cancel. Every
// result comes with a bound on its error; where rounding is not certain within
// it, the careful, the exact and then the unlimited way decide
// (docs/numerics.md).
#if defined(LOSSD_SERVER_COMPUTE_EXACT_ROW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_ROW_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_ROW_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_ROW_INL_H_
#endif

#include "hwy/highway.h"
#include "server/compute/exact/capped_sums-inl.h"
#include "server/compute/exact/decide-inl.h"
#include "server/compute/exact/fast_results-inl.h"
#include "server/compute/exact/fast_row-inl.h"
#include "server/compute/exact/float64_row-inl.h"
#include "server/compute/exact/search-inl.h"
#include "server/compute/exact/slow_sums-inl.h"
#include "server/compute/exact/softcap-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

template <typename T>
HWY_INLINE void SetPrediction(const RowTask& task, double largest,
                              RowResult& result) {
  // A label that is not the maximum is not predicted; the scan is for ties.
  const bool may_be_correct =
      task.label != kNoLabel &&
      ToDouble(LoadElement<T>(task.logits, task.label)) == largest;
  if (task.wants_prediction || may_be_correct) {
    result.prediction = FirstIndexOf<T>(largest, task.logits, task.classes);
    result.correct = result.prediction == task.label;
  }
}

template <typename T>
HWY_NOINLINE void NonFiniteRow(const RowTask& task, RowResult& result) {
  if (task.gradient != nullptr) {
    FillWithNan(task.gradient_type, task.classes, task.gradient);
  }
  if (task.probabilities != nullptr) {
    FillWithNan(task.probabilities_type(), task.classes, task.probabilities);
  }
  if (task.log_probabilities != nullptr) {
    FillWithNan(task.probabilities_type(), task.classes,
                task.log_probabilities);
  }
  result.prediction = PredictionOfNonFiniteRow(task);
}

// The loss in both forms. REQUIRES: a label.
HWY_INLINE void DecideLoss(Decider& decider, RowResult& result) {
  if (decider.terms().has_infinite_loss()) {
    result.loss = result.rounded_loss = std::numeric_limits<double>::infinity();
    return;
  }
  result.loss = decider.WideLoss();
  result.rounded_loss = decider.Loss();
}

inline HWY_NOINLINE void DecideLogProbabilities(const RowTask& task,
                                                Decider& decider) {
  for (int64_t i = 0; i < task.classes; ++i) {
    StoreElement(task.probabilities_type(), decider.LogProbability(i),
                 task.log_probabilities, i);
  }
}

// A row so far from 0 that float64 has no offset near its scaled maximum:
// next to that all other logits are -inf, and each result is decided.
template <typename T>
HWY_NOINLINE void FarRow(const RowTask& task, double max, RowScratch& scratch,
                         RowResult& result) {
  result.finite = true;
  Decider decider(task, max, scratch);
  for (int64_t i = 0; task.gradient != nullptr && i < task.classes; ++i) {
    StoreElement(task.gradient_type,
                 task.has_gradient() ? decider.Gradient(i) : 0.0, task.gradient,
                 i);
  }
  for (int64_t i = 0; task.probabilities != nullptr && i < task.classes; ++i) {
    StoreElement(task.type, decider.Probability(i), task.probabilities, i);
  }
  if (task.log_probabilities != nullptr) DecideLogProbabilities(task, decider);
  if (task.wants_log_sum_exp) result.log_sum_exp = decider.LogSumExp();
  if (task.label != kNoLabel) DecideLoss(decider, result);
  SetPrediction<T>(task, max, result);
}

// Fills `result`, as it was constructed, for one row of float32, float16 or
// bfloat16 logits: correctly rounded.
template <typename T>
HWY_INLINE void ComputeRow(const RowTask& task, RowScratch& scratch, T,
                           RowResult& result) {
  if (task.has_elements()) {
    RowScratch::Room(scratch.exps, task.classes + kChunk);
  }
  FastRow row;
  if (HWY_UNLIKELY(!RunFast<T>(task, scratch, row))) {
    const Maximum max = MaximumOfRow<T>(task);
    if (max.in_range) return FarRow<T>(task, max.value, scratch, result);
    return NonFiniteRow<T>(task, result);
  }
  result.finite = true;
  FastResults<T> results(task, row, scratch);
  // The gradient first: its stores do not wait for the logarithm's long chain.
  if (task.gradient != nullptr) results.WriteGradient();
  if (task.wants_log_sum_exp) result.log_sum_exp = results.LogSumExp();
  if (task.label != kNoLabel) results.SetLoss(result);
  SetPrediction<T>(task, row.largest, result);
  if (task.probabilities != nullptr) results.WriteProbabilities();
  if (task.log_probabilities != nullptr) results.WriteLogProbabilities();
}

// A row of float64 logits with a finite maximum: careful throughout, within 1
// ulp.
HWY_INLINE void ComputeFloat64Row(const RowTask& task, double max,
                                  RowScratch& scratch, RowResult& result) {
  result.finite = true;
  Decider decider(task, max, scratch);
  if (task.gradient != nullptr || task.probabilities != nullptr) {
    RowScratch::Room(scratch.exps, task.classes + kChunk);
    RowScratch::Room(scratch.exps_low, task.classes + kChunk);
    decider.terms().set_careful(
        task.capped != nullptr
            ? SumCappedCarefully<true>(task, scratch)
            : SumRowCarefully<true, double>(task, max, scratch));
    if (task.gradient != nullptr) WriteFloat64Gradient(task, scratch, decider);
    if (task.probabilities != nullptr) {
      WriteFloat64Probabilities(task, scratch, decider);
    }
  }
  if (task.log_probabilities != nullptr) DecideLogProbabilities(task, decider);
  if (task.wants_log_sum_exp) result.log_sum_exp = decider.LogSumExp();
  if (task.label != kNoLabel) DecideLoss(decider, result);
  SetPrediction<double>(task, max, result);
}

// ComputeRow for float64 logits.
HWY_INLINE void ComputeRow(const RowTask& task, RowScratch& scratch, double,
                           RowResult& result) {
  const Maximum max = MaximumOfRow<double>(task);
  if (!max.in_range) return NonFiniteRow<double>(task, result);
  ComputeFloat64Row(task, max.value, scratch, result);
}

// The same with every logit capped: whatever is finite stays so.
HWY_INLINE void ComputeCappedRow(RowTask task, double cap, RowScratch& scratch,
                                 RowResult& result) {
  const Maximum max = MaximumInRange<double>(
      task.logits, task.classes, -std::numeric_limits<double>::infinity(),
      std::numeric_limits<double>::max());
  if (!max.in_range || std::isinf(max.value)) {
    return NonFiniteRow<double>(task, result);
  }
  const CappedLogits capped = CapLogits(task, max.value, cap, scratch);
  task.capped = &capped;
  ComputeFloat64Row(task, max.value, scratch, result);
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
