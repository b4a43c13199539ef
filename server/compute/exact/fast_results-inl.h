// The results of a row by the fast way. Included once per instruction set.
//
// With x_j, e_j, others and S as in row-inl.h. Every result comes with a bound
// on its error, and is rounded where that leaves no doubt.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_FAST_RESULTS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_FAST_RESULTS_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_FAST_RESULTS_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_FAST_RESULTS_INL_H_
#endif

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "hwy/highway.h"
#include "server/compute/exact/bounded-inl.h"
#include "server/compute/exact/decide-inl.h"
#include "server/compute/exact/fast_row-inl.h"
#include "server/compute/exact/gradient-inl.h"
#include "server/compute/exact/log-inl.h"
#include "server/compute/exact/rounding-inl.h"
#include "server/compute/exact/targets-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// Fills out but for the label with exps_i factor, the exponentials being those
// that the fast pass left in the scratch; the factor is known to a relative
// error.
HWY_INLINE void WriteScaledRow(const RowTask& task, const FastRow& row,
                               const RowScratch& scratch, ElementType type,
                               double factor, double factor_error,
                               DecideElement decide, std::byte* out) {
  // Whether the least result is a normal float32, with a factor 4 to spare.
  constexpr double kLog2E = 1.4426950408889634;
  const auto exponent = static_cast<double>(
      static_cast<int64_t>(std::bit_cast<uint64_t>(factor) >> 52 & 0x7ff) -
      1023);
  const double least = row.Above(task, row.smallest) * kLog2E + exponent;
  const double error = row.exp_error + factor_error + 0x1p-52;
  const ScaledExps elements(scratch.exps.data(), factor, error);
  WriteScaledExps(task, type, elements, error, least > -124.0, decide, out);
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

  HWY_NOINLINE double LogSumExp() {
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
      result.loss = decider_.WideLoss();
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

  HWY_NOINLINE void WriteProbabilities() {
    const auto decide = [this](int64_t i) { return decider_.Probability(i); };
    WriteScaled(task_.type, 1.0 / row_.sum(), row_.sum_error + 0x1p-52, decide,
                task_.probabilities);
    if (task_.label == kNoLabel) return;
    const auto rounded = RoundIfCertain<T>(Label() / Sum());
    StoreElement(
        FromDouble<T>(rounded ? *rounded : decider_.Probability(task_.label)),
        task_.probabilities, task_.label);
  }

  // Fills the scratch with x_i, so the last of what is for each class.
  HWY_NOINLINE void WriteLogProbabilities() {
    double* const x = scratch_.exps.data();
    const Doubles d;
    const VecD scale = hn::Set(d, task_.scale);
    const VecD minus_offset = hn::Set(d, 0.0 - row_.offset);
    const T* const z = reinterpret_cast<const T*>(task_.logits);
    ForEachSpan(task_, [&](int64_t begin, int64_t end) HWY_ATTR {
      ForEachChunk(z, begin, end, [&](int64_t i, const T* p) HWY_ATTR {
        for (int64_t v = 0; v < kVectors; ++v) {
          const VecD logits = LoadAsDouble(p + v * kLanes);
          hn::StoreU(FusedMulAdd(logits, scale, minus_offset), d,
                     x + i + v * kLanes);
        }
      });
    });
    const auto decide = [this](int64_t i) {
      return decider_.LogProbability(i);
    };
    WriteIntervals(task_, task_.type, LogShares(x, ApproxLogSum(), 0x1p-53),
                   decide, task_.log_probabilities);
    if (task_.label == kNoLabel) return;
    const Approx loss = LabelLoss();
    const auto rounded = RoundIfCertain<T>(Approx{-loss.value, loss.error});
    StoreElement(FromDouble<T>(rounded ? *rounded
                                       : decider_.LogProbability(task_.label)),
                 task_.log_probabilities, task_.label);
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
    return Known(row_.others, row_.others_error);
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

  HWY_INLINE void WriteScaled(ElementType type, double factor,
                              double factor_error, DecideElement decide,
                              std::byte* out) {
    WriteScaledRow(task_, row_, scratch_, type, factor, factor_error, decide,
                   out);
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
    StoreLabel(Known((0.0 - row_.others) * factor,
                     row_.others_error + error + 0x1p-53));
  }

  // With a z-loss, but without smoothing: still one factor for all.
  HWY_NOINLINE void WriteScaledGradient() {
    const Approx scale = Known(Scale(), kScaleError);
    const Approx target = ApproxTarget();
    Approx total = target + ApproxZTotal();
    // A total that cancels would leave every element in doubt.
    if (total.error > total.size() * 0x1p-46) {
      const ApproxPair refined = decider_.terms().Total();
      total = {refined.value.hi, refined.error + refined.size() * 0x1p-53};
    }
    const auto decide = [this](int64_t i) { return decider_.Gradient(i); };
    const Approx factor = scale * total / Sum();
    WriteScaled(task_.gradient_type, factor.value, factor.error / factor.size(),
                decide, task_.gradient);
    StoreLabel(scale *
               ((ApproxZTotal() * Label() - target * Others()) / Sum()));
  }

  HWY_NOINLINE void WriteDifferences() {
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
                   row_.others_error + row_.label_error + 0x1p-49);
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

  HWY_NOINLINE Approx ApproxLoss() {
    const Approx target = ApproxTarget();
    Approx loss = Exact(0.0);
    if (task_.HasTarget(task_.label)) {
      const Approx of_label = LabelLoss();
      if (std::isinf(of_label.value)) return of_label;
      loss = target * of_label;
    }
    if (!task_.targets.one_hot()) {
      const TargetSums& targets = Targets();
      if (targets.infinite != 0.0 ||
          (std::isinf(row_.smallest) && HasImpossibleTinyTarget(task_))) {
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

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
