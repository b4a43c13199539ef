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

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "hwy/highway.h"
#include "server/compute/exact/decide-inl.h"
#include "server/compute/exact/fast_sums-inl.h"
#include "server/compute/exact/float64_row-inl.h"
#include "server/compute/exact/gradient-inl.h"
#include "server/compute/exact/log-inl.h"
#include "server/compute/exact/search-inl.h"
#include "server/compute/exact/slow_sums-inl.h"
#include "server/compute/exact/targets-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// How far above the offset, which is a logit, the maximum may lie: exponentials
// and their sums stay far from overflow, and what FastExp takes for 0 is below
// 2^-700 of the maximum's.
inline constexpr double kMaxAboveOffset = 200.0;

// What the fast pass found, and how exact it is.
struct FastRow {
  double offset = 0.0;
  double others = 0.0;   // sum of exp(x_j) over j != label
  double label = 0.0;    // exp(x_label); 0 without a label
  double largest = 0.0;  // logit
  double smallest = 0.0;
  double exp_error = 0.0;    // relative, of each exponential
  double sum_error = 0.0;    // relative, of their sums
  double label_error = 0.0;  // relative, of the label's exponential

  double sum() const { return others + label; }
};

// The relative error of an exponential, for |x| <= size. With an offset or a
// scale x is rounded, too.
HWY_INLINE double FastExpError(double size, bool plain) {
  const double per_nat = plain ? 0.35 : 1.4;
  return (2.5 + std::min(size, -kFastLow) * per_nat) * 0x1p-53;
}

// Errors of exponentials further below the largest than this, which is ln of
// 2^40 classes and 8, add less to their sum's than 1/50 of what the largest
// may.
inline constexpr double kSeenBelowLargest = 36.0;

// What their sum has beside that: 17 roundings (docs/numerics.md).
inline constexpr double kFastSumError = 17.5 * 0x1p-53;

// An offset from the first chunk: near the maximum for most rows, and found
// without a pass of its own. 0, which spares the subtraction and its rounding,
// unless the first finite logit is far from it; 0 where there is none.
template <typename T>
HWY_INLINE double OffsetFrom(const RowTask& task) {
  for (int64_t i = 0; i < std::min(task.classes, kChunk); ++i) {
    const double a = ToDouble(LoadElement<T>(task.logits, i)) * task.scale;
    if (std::isfinite(a)) return std::abs(a) <= 0.5 * kMaxAboveOffset ? 0.0 : a;
  }
  return 0.0;
}

template <bool kPlain, typename T>
HWY_INLINE void TryFast(const RowTask& task, double offset, RowScratch& scratch,
                        FastRow& row) {
  const bool keeps = task.gradient != nullptr || task.probabilities != nullptr;
  const FastSums sums =
      keeps ? SumRowFast<true, kPlain, T>(task, offset, scratch)
            : SumRowFast<false, kPlain, T>(task, offset, scratch);
  row.offset = offset;
  row.others = sums.others;
  row.largest = sums.largest;
  row.smallest = sums.smallest;
  row.label = 0.0;
  if (task.label != kNoLabel) {
    const double x = std::fma(ToDouble(LoadElement<T>(task.logits, task.label)),
                              task.scale, 0.0 - offset);
    row.label = hn::GetLane(FastExp(hn::Set(Doubles(), x)));
    row.label_error = FastExpError(std::abs(x), kPlain);
  }
  const double above = task.scale * row.largest - offset;
  const double below = offset - task.scale * row.smallest;
  row.exp_error = FastExpError(std::max(above, below), kPlain);
  row.sum_error =
      kFastSumError +
      FastExpError(std::max(above, std::min(below, kSeenBelowLargest - above)),
                   kPlain);
}

// Whether the sums are what they say: only with finite logits, not too far
// above the offset.
HWY_INLINE bool Holds(const RowTask& task, const FastRow& row) {
  return std::isfinite(row.sum()) &&
         std::abs(task.scale * row.largest - row.offset) <= kMaxAboveOffset;
}

// The fast pass; false for a row that is not finite. What it finds is not
// returned but filled in: copies of what was just stored piece by piece stall.
template <typename T>
HWY_INLINE bool RunFast(const RowTask& task, RowScratch& scratch,
                        FastRow& row) {
  double offset = OffsetFrom<T>(task);
  if (offset == 0.0 && task.scale == 1.0 && !scratch.low_logits) {
    TryFast<true, T>(task, offset, scratch, row);
    if (Holds(task, row) && row.smallest >= kPlainLow) return true;
  } else {
    TryFast<false, T>(task, offset, scratch, row);
    scratch.low_logits = row.smallest < kPlainLow;
    if (Holds(task, row)) return true;
  }
  const Maximum max = MaximumOfRow<T>(task);
  if (!max.in_range) return false;
  if (!(std::abs(task.scale * max.value - offset) <= kMaxAboveOffset)) {
    offset = task.scale * max.value;
  }
  TryFast<false, T>(task, offset, scratch, row);
  scratch.low_logits = row.smallest < kPlainLow;
  return true;
}

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
    FillWithNan(task.type, task.classes, task.probabilities);
  }
  result.prediction = PredictionOfNonFiniteRow(task);
}

// The results of one row by the fast way, each with the next way where it is
// in doubt.
template <typename T>
class FastResults {
 public:
  HWY_INLINE FastResults(const RowTask& task, const FastRow& row,
                         RowScratch& scratch)
      : task_(task),
        row_(row),
        scratch_(scratch),
        decider_(task, row.largest, scratch),
        plain_(task.targets.one_hot() && task.z_loss == 0.0) {}

  HWY_INLINE double LogSumExp() {
    const auto rounded = RoundIfCertain<T>(ApproxLogSumExp());
    return rounded ? *rounded : decider_.LogSumExp();
  }

  // REQUIRES: a label.
  HWY_INLINE void SetLoss(RowResult& result) {
    result.loss = result.rounded_loss = 0.0;
    if (task_.row_weight == 0.0) return;
    const Approx loss = plain_ ? PlainLoss() : ApproxLoss();
    result.loss = result.rounded_loss = loss.value;
    if (std::isinf(loss.value)) return;
    if (HWY_UNLIKELY(loss.error > loss.size() * 0x1p-43)) {
      result.loss = decider_.CarefulLoss();
    }
    if (task_.wants_row_loss) {
      const auto rounded = RoundIfCertain<T>(loss);
      result.rounded_loss = rounded ? *rounded : decider_.Loss();
    }
  }

  HWY_INLINE void WriteGradient() {
    if (!task_.has_gradient()) {
      std::memset(task_.gradient, 0,
                  task_.classes * ElementBytes(task_.gradient_type));
    } else if (plain_) {
      WritePlainGradient();
    } else if (task_.targets.one_hot()) {
      WriteScaledGradient();
    } else {
      WriteDifferences();
    }
  }

  HWY_INLINE void WriteProbabilities() {
    const auto decide = [this](int64_t i) { return decider_.Probability(i); };
    WriteScaled(task_.type, 1.0 / row_.sum(), row_.sum_error + 0x1p-52, decide,
                task_.probabilities);
    if (task_.label == kNoLabel) return;
    const auto rounded = RoundIfCertain<T>(Label() / Sum());
    StoreElement(
        FromDouble<T>(rounded ? *rounded : decider_.Probability(task_.label)),
        task_.probabilities, task_.label);
  }

 private:
  HWY_INLINE static Approx Exact(double value) { return {value, 0.0}; }
  HWY_INLINE static Approx Known(double value, double relative_error) {
    return {value, std::abs(value) * relative_error};
  }
  HWY_INLINE double LabelLogit() const {
    return ToDouble(LoadElement<T>(task_.logits, task_.label));
  }
  HWY_INLINE Approx Others() const {
    return Known(row_.others, row_.sum_error);
  }
  HWY_INLINE Approx Label() const {
    return Known(row_.label, row_.label_error);
  }
  HWY_INLINE Approx Sum() const {
    return Known(row_.sum(), row_.sum_error + 0x1p-53);
  }

  // scale row_weight upstream / denominator, and its relative error.
  static constexpr double kScaleError = 3 * 0x1p-53;
  HWY_INLINE double Scale() const {
    return task_.scale * task_.row_weight * task_.upstream / task_.denominator;
  }

  // Fills out but for the label with exps_i factor, which is known to a
  // relative error.
  HWY_INLINE void WriteScaled(ElementType type, double factor,
                              double factor_error, DecideElement decide,
                              std::byte* out) {
    // Whether the least result is a normal float32, with a factor 4 to spare.
    constexpr double kLog2E = 1.4426950408889634;
    const auto exponent = static_cast<double>(
        static_cast<int64_t>(std::bit_cast<uint64_t>(factor) >> 52 & 0x7ff) -
        1023);
    const double least =
        (task_.scale * row_.smallest - row_.offset) * kLog2E + exponent;
    const double error = row_.exp_error + factor_error + 0x1p-52;
    const ScaledExps elements(scratch_.exps.data(), factor, error);
    WriteScaledExps(task_, type, elements, error, least > -124.0, decide, out);
  }

  HWY_INLINE void StoreLabel(Approx gradient) {
    const auto rounded = RoundIfCertain(task_.gradient_type, gradient);
    StoreElement(task_.gradient_type,
                 rounded ? *rounded : decider_.Gradient(task_.label),
                 task_.gradient, task_.label);
  }

  // Without smoothing and z-loss: no more than one division waits for the sum.
  HWY_INLINE void WritePlainGradient() {
    constexpr double kError = kScaleError + 6 * 0x1p-53;
    const double target = task_.targets.is_label() ? 1.0 : ApproxTarget().value;
    const double factor = Scale() * target / row_.sum();
    const double error = row_.sum_error + kError;
    const auto decide = [this](int64_t i) { return decider_.Gradient(i); };
    WriteScaled(task_.gradient_type, factor, error, decide, task_.gradient);
    StoreLabel(
        Known((0.0 - row_.others) * factor, row_.sum_error + error + 0x1p-53));
  }

  // With a z-loss, but without smoothing: still one factor for all.
  HWY_INLINE void WriteScaledGradient() {
    const Approx scale = Known(Scale(), kScaleError);
    const Approx target = ApproxTarget();
    Approx total = target + ApproxZTotal();
    // A total that cancels would leave every element in doubt.
    if (total.error > total.size() * 0x1p-46) {
      const ApproxPair refined = decider_.Total();
      total = {refined.value.hi, refined.error + refined.size() * 0x1p-53};
    }
    const auto decide = [this](int64_t i) { return decider_.Gradient(i); };
    const Approx factor = scale * total / Sum();
    WriteScaled(task_.gradient_type, factor.value, factor.error / factor.size(),
                decide, task_.gradient);
    StoreLabel(scale *
               ((ApproxZTotal() * Label() - target * Others()) / Sum()));
  }

  HWY_INLINE void WriteDifferences() {
    const Approx scale = Known(Scale(), kScaleError);
    const Approx target = ApproxTarget();
    const Approx rest = ApproxOtherTargets();
    const Approx factor = scale * (target + rest) / Sum();
    constexpr double kTargetError = kScaleError + 0x1p-51;
    const auto decide = [this](int64_t i) { return decider_.Gradient(i); };
    const double* const exps = scratch_.exps.data();
    if (task_.targets.constant()) {
      WriteIntervals(
          task_, task_.gradient_type,
          ScaledMinusConstant(exps, factor, row_.exp_error,
                              ConstantTarget(task_), scale.value, kTargetError),
          decide, task_.gradient);
    } else {
      WriteIntervals(
          task_, task_.gradient_type,
          ScaledDifferences(exps, factor, row_.exp_error,
                            scratch_.targets.data(), scale.value, kTargetError),
          decide, task_.gradient);
    }
    StoreLabel(scale * ((rest * Label() - target * Others()) / Sum()));
  }

  // q at the label.
  HWY_INLINE Approx ApproxTarget() const {
    if (task_.targets.is_label()) return Exact(1.0);
    const Pair target = TargetWeight(task_, task_.label);
    return {target.hi, std::abs(target.lo) + std::abs(target.hi) * 0x1p-98};
  }

  HWY_INLINE Approx ApproxLogSum() const {
    const double log_sum = FastLog(row_.sum(), 0.0);
    return {log_sum, 2 * row_.sum_error + std::abs(log_sum) * 0x1p-50};
  }
  HWY_INLINE Approx ApproxLogSumExp() const {
    return Exact(row_.offset) + ApproxLogSum();
  }
  HWY_INLINE Approx ApproxZTotal() const {
    return Exact(2.0 * task_.z_loss) * ApproxLogSumExp();
  }

  // The targets' sums, taken when first asked for. REQUIRES: not one-hot.
  HWY_INLINE const TargetSums& Targets() {
    if (!has_targets_) {
      has_targets_ = true;
      const double* targets = nullptr;
      if (!task_.targets.constant()) {
        double* room =
            RowScratch::Room(scratch_.targets, task_.classes + kChunk);
        FillTargets(task_, room, nullptr);
        targets = room;
      }
      targets_ = SumTargets<T>(task_, targets, row_.offset, scratch_);
    }
    return targets_;
  }
  // The sum of q but for the label's, and 2 z_loss lse.
  HWY_INLINE Approx ApproxOtherTargets() {
    const Approx rest = Known(Targets().weights, kTargetSumsError);
    return task_.z_loss == 0.0 ? rest : rest + ApproxZTotal();
  }

  // lse - a at the label, never negative.
  HWY_INLINE Approx LabelLoss() const {
    const double below =
        -std::fma(LabelLogit(), task_.scale, 0.0 - row_.offset);
    if (std::isinf(below)) return Exact(below);
    // The quotient may not overflow; far below the offset the sum cannot
    // cancel.
    if (below < 2 * kMaxAboveOffset) {
      return Known(FastLog1p(row_.others / row_.label),
                   row_.sum_error + row_.label_error + 0x1p-49);
    }
    return Approx{below, below * 0x1p-52} + ApproxLogSum();
  }

  HWY_INLINE Approx PlainLoss() const {
    const Approx loss = LabelLoss();
    if (task_.targets.is_label() && task_.row_weight == 1.0) return loss;
    const Approx target = ApproxTarget();
    if (target.value == 0.0) return Exact(0.0);
    return Exact(task_.row_weight) * (target * loss);
  }

  HWY_INLINE Approx ApproxLoss() {
    const Approx target = ApproxTarget();
    Approx loss = Exact(0.0);
    if (target.value != 0.0) {
      const Approx of_label = LabelLoss();
      if (std::isinf(of_label.value)) return of_label;
      loss = target * of_label;
    }
    if (!task_.targets.one_hot()) {
      const TargetSums& targets = Targets();
      if (targets.infinite != 0.0) {
        return Exact(std::numeric_limits<double>::infinity());
      }
      loss = loss + Known(targets.weights, kTargetSumsError) * ApproxLogSum() -
             Approx{targets.distances, targets.sizes * kTargetSumsError};
    }
    if (task_.z_loss != 0.0) {
      const Approx lse = ApproxLogSumExp();
      loss = loss + Exact(task_.z_loss) * (lse * lse);
    }
    return Exact(task_.row_weight) * loss;
  }

  const RowTask& task_;
  const FastRow& row_;
  RowScratch& scratch_;
  Decider decider_;
  const bool plain_;  // neither smoothing nor a z-loss
  bool has_targets_ = false;
  TargetSums targets_;
};

// Fills `result`, as it was constructed, for one row of float32, float16 or
// bfloat16 logits: correctly rounded.
template <typename T>
HWY_INLINE void ComputeRow(const RowTask& task, RowScratch& scratch, T,
                           RowResult& result) {
  if (task.gradient != nullptr || task.probabilities != nullptr) {
    RowScratch::Room(scratch.exps, task.classes + kChunk);
  }
  FastRow row;
  if (!RunFast<T>(task, scratch, row)) return NonFiniteRow<T>(task, result);
  result.finite = true;
  FastResults<T> results(task, row, scratch);
  if (task.wants_log_sum_exp) result.log_sum_exp = results.LogSumExp();
  if (task.label != kNoLabel) results.SetLoss(result);
  SetPrediction<T>(task, row.largest, result);
  if (task.gradient != nullptr) results.WriteGradient();
  if (task.probabilities != nullptr) results.WriteProbabilities();
}

// The same for one row of float64 logits: careful throughout, within 1 ulp.
HWY_INLINE void ComputeRow(const RowTask& task, RowScratch& scratch, double,
                           RowResult& result) {
  const Maximum max = MaximumOfRow<double>(task);
  if (!max.in_range) return NonFiniteRow<double>(task, result);
  result.finite = true;
  Decider decider(task, max.value, scratch);
  if (task.gradient != nullptr || task.probabilities != nullptr) {
    RowScratch::Room(scratch.exps, task.classes + kChunk);
    RowScratch::Room(scratch.exps_low, task.classes + kChunk);
    decider.set_careful(
        SumRowCarefully<true, double>(task, max.value, scratch));
    if (task.gradient != nullptr) WriteFloat64Gradient(task, scratch, decider);
    if (task.probabilities != nullptr) {
      WriteFloat64Probabilities(task, scratch, decider);
    }
  }
  if (task.wants_log_sum_exp) result.log_sum_exp = decider.LogSumExp();
  if (task.label != kNoLabel) {
    result.loss = Float64Loss(task, decider);
    result.rounded_loss = result.loss;
  }
  SetPrediction<double>(task, max.value, result);
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
