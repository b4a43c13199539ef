// One row of softmax cross-entropy. Included once per instruction set.
//
// With o an offset near the row's maximum and e_j = exp(z_j - o):
//   others = sum_{j != y} e_j,  S = others + e_y
//   loss = ln(1 + others / e_y)
//   gradient_i = (u / D) e_i / S,  gradient_y = -(u / D) others / S
// so that neither p_y - 1 nor lse - z_y is ever formed: both cancel. Every
// result comes with a bound on its error; where rounding is not certain within
// it, the careful and then the exact way decide (docs/numerics.md).
#if defined(LOSSD_SERVER_COMPUTE_EXACT_ROW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_ROW_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_ROW_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_ROW_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "hwy/highway.h"
#include "server/compute/exact/decide-inl.h"
#include "server/compute/exact/fast_sums-inl.h"
#include "server/compute/exact/gradient-inl.h"
#include "server/compute/exact/log-inl.h"
#include "server/compute/exact/search-inl.h"
#include "server/compute/exact/slow_sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// How far above the offset, which is a logit, the maximum may lie: exponentials
// and their sums stay far from overflow, and what FastExp takes for 0 is below
// 2^-700 of the maximum's.
inline constexpr double kMaxAboveOffset = 200.0;

// The relative error of each exponential, for logits at most `spread` from the
// offset. With an offset a difference is rounded, too: it is exact in float64
// unless the two differ in size by 2^28.
HWY_INLINE double FastExpError(double spread, double offset) {
  const double per_nat = offset == 0.0 ? 0.35 : 1.4;
  return (2.5 + std::min(spread, -kFastLow) * per_nat) * 0x1p-53;
}

// What their sum has beside that: 17 roundings (docs/numerics.md).
inline constexpr double kFastSumError = 17.5 * 0x1p-53;

// An offset from the first chunk: near the maximum for most rows, and found
// without a pass of its own. 0, which spares the subtraction and its rounding,
// unless the first finite logit is far from it; 0 where there is none.
HWY_INLINE double OffsetFrom(const float* z, int64_t size) {
  for (int64_t i = 0; i < std::min(size, kChunk); ++i) {
    float logit;
    std::memcpy(&logit, z + i, sizeof(float));
    if (std::isfinite(logit)) {
      return std::abs(logit) <= 0.5 * kMaxAboveOffset ? 0.0 : logit;
    }
  }
  return 0.0;
}

HWY_INLINE FastSums SumRowFast(const RowTask& task, double offset,
                               RowScratch& scratch) {
  if (task.gradient == nullptr) {
    return offset == 0.0 ? SumRowFast<false, false>(task, offset, scratch)
                         : SumRowFast<false, true>(task, offset, scratch);
  }
  return offset == 0.0 ? SumRowFast<true, false>(task, offset, scratch)
                       : SumRowFast<true, true>(task, offset, scratch);
}

template <typename T>
HWY_INLINE void SetPrediction(const RowTask& task, T largest,
                              RowResult& result) {
  const T* z = reinterpret_cast<const T*>(task.logits);
  T label_logit = -std::numeric_limits<T>::infinity();
  if (task.label != kNoLabel) {
    std::memcpy(&label_logit, z + task.label, sizeof(T));
  }
  // A label that is not the maximum is not predicted; the scan is for ties.
  if (task.wants_prediction || label_logit == largest) {
    result.prediction = FirstIndexOf(largest, z, task.classes);
    result.correct = result.prediction == task.label;
  }
}

template <typename T>
HWY_NOINLINE RowResult NonFiniteRow(const RowTask& task) {
  RowResult result;
  const T* z = reinterpret_cast<const T*>(task.logits);
  if (task.gradient != nullptr) {
    FillWithNan(reinterpret_cast<T*>(task.gradient), task.classes);
  }
  result.prediction = PredictionOfNonFiniteRow(z, task.classes);
  return result;
}

// The loss and log_sum_exp of a float32 row; `error` is that of the sums.
HWY_INLINE void SetFastScalars(const RowTask& task, const FastSums& sums,
                               double offset, double error,
                               Decider<float>& decider, RowResult& result) {
  const auto log_of_sum = [&] {
    return FastLog(sums.others + sums.label, 0.0);
  };
  if (task.wants_log_sum_exp) {
    const double log_sum = log_of_sum();
    const Pair lse = TwoSum(offset, log_sum);
    const auto rounded =
        RoundIfCertain(lse, 2 * error + std::abs(log_sum) * 0x1p-50);
    result.log_sum_exp = rounded ? *rounded : decider.LogSumExp();
  }
  if (task.label == kNoLabel) return;
  const double z = decider.Logit(task.label);
  if (std::isinf(z)) {
    result.loss = result.rounded_loss = -z;
    return;
  }
  // The quotient may not overflow; far below the offset the sum cannot cancel.
  const double below = offset - z;
  result.loss = below < 2 * kMaxAboveOffset
                    ? FastLog1p(sums.others / sums.label)
                    : below + log_of_sum();
  if (!task.wants_row_loss) return;
  const auto rounded = RoundIfCertain(result.loss, 2 * error + 0x1p-49);
  result.rounded_loss = rounded ? *rounded : decider.Loss();
}

HWY_INLINE RowResult ComputeRow(const RowTask& task, RowScratch& scratch,
                                float) {
  const float* z = reinterpret_cast<const float*>(task.logits);
  const int64_t needed = task.classes + kChunk;
  if (task.gradient != nullptr &&
      static_cast<int64_t>(scratch.exps.size()) < needed) {
    scratch.exps.resize(needed);
  }
  double offset = OffsetFrom(z, task.classes);
  FastSums sums = SumRowFast(task, offset, scratch);
  if (!std::isfinite(sums.others + sums.label) ||
      !(std::abs(sums.largest - offset) <= kMaxAboveOffset)) {
    const RowMaximum<float> max = MaximumOfRow(z, task.classes);
    if (!max.finite) return NonFiniteRow<float>(task);
    offset = max.value;
    sums = SumRowFast(task, offset, scratch);
  }
  RowResult result;
  result.finite = true;
  const double spread =
      std::max<double>(sums.largest - offset, offset - sums.smallest);
  const double exp_error = FastExpError(spread, offset);
  const double sum_error = exp_error + kFastSumError;
  Decider<float> decider(task, sums.largest, scratch);
  SetFastScalars(task, sums, offset, sum_error, decider, result);
  SetPrediction(task, sums.largest, result);
  if (task.gradient != nullptr) {
    WriteFastGradient(task, sums, offset, exp_error, sum_error,
                      scratch.exps.data(), decider);
  }
  return result;
}

// float64 logits: careful throughout, rounded to nearest from pairs.
HWY_INLINE RowResult ComputeRow(const RowTask& task, RowScratch& scratch,
                                double) {
  const double* z = reinterpret_cast<const double*>(task.logits);
  const RowMaximum<double> max = MaximumOfRow(z, task.classes);
  if (!max.finite) return NonFiniteRow<double>(task);
  RowResult result;
  result.finite = true;
  if (task.gradient != nullptr) {
    const size_t needed = task.classes + kChunk;
    if (scratch.exps.size() < needed) scratch.exps.resize(needed);
    if (scratch.exps_low.size() < needed) scratch.exps_low.resize(needed);
    const CarefulSums sums =
        SumRowCarefully<true, double>(task, max.value, scratch);
    WriteCarefulGradient(task, sums, scratch.exps.data(),
                         scratch.exps_low.data());
  }
  Decider<double> decider(task, max.value, scratch);
  if (task.wants_log_sum_exp) result.log_sum_exp = decider.LogSumExp();
  if (task.label != kNoLabel) {
    const double logit = decider.Logit(task.label);
    result.loss = std::isinf(logit) ? -logit : decider.Loss();
    result.rounded_loss = result.loss;
  }
  SetPrediction(task, max.value, result);
  return result;
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
