// What the results of a row are made of, by careful and by exact arithmetic.
// Included once per instruction set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_ROW_TERMS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_ROW_TERMS_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_ROW_TERMS_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_ROW_TERMS_INL_H_
#endif

#include <cmath>
#include <optional>

#include "hwy/highway.h"
#include "server/compute/exact/bounded-inl.h"
#include "server/compute/exact/capped_sums-inl.h"
#include "server/compute/exact/log-inl.h"
#include "server/compute/exact/row_scratch.h"
#include "server/compute/exact/slow_sums-inl.h"
#include "server/compute/exact/softcap-inl.h"
#include "server/compute/exact/targets-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// Relative errors of careful and of exact exponentials and their sums; the true
// bounds are 2^-61 and 2^-89.
inline constexpr double kCarefulError = 0x1p-60;
inline constexpr double kExactError = 0x1p-84;
// Of exact exponentials of capped logits: 2^-90 of up to 1050.
inline constexpr double kCappedExactError = 0x1p-76;
// Of the logarithm that both take.
inline constexpr double kLogError = 0x1p-84;
// Of TargetPairs.
inline constexpr double kTargetPairsError = 0x1p-84;
// Of a total that float64's products may take.
inline constexpr double kTotalError = 0x1p-58;

HWY_INLINE ApproxPair Exactly(double value) { return {{value, 0.0}, 0.0}; }
HWY_INLINE ApproxPair Within(Pair value, double relative_error) {
  return {value, std::abs(value.hi) * relative_error};
}

// scale row_weight upstream / denominator. REQUIRES: task.has_gradient().
HWY_INLINE Pair GradientScale(const RowTask& task) {
  return Pair{task.scale, 0.0} * Pair{task.row_weight, 0.0} *
         Pair{task.upstream, 0.0} / Pair{task.denominator, 0.0};
}

// One row's results by careful and by exact arithmetic, with bounds on their
// errors. Sums are taken when first asked for.
class RowTerms {
 public:
  enum class Way { kCareful, kExact };

  RowTerms(const RowTask& task, double max, RowScratch& scratch)
      : task_(task), max_(max), scratch_(scratch) {}

  // Of the targets but for the label's.
  const TargetPairs& targets() {
    if (!targets_) {
      targets_.emplace();
      if (!task_.targets.one_hot()) FindTargets();
    }
    return *targets_;
  }
  // Whether a class has a target and a logit of -inf. REQUIRES: a label.
  bool has_infinite_loss() {
    if (task_.row_weight == 0.0) return false;
    return (std::isinf(task_.Logit(task_.label)) &&
            task_.HasTarget(task_.label)) ||
           targets().infinite != 0.0 || HasImpossibleTinyTarget(task_);
  }

  const CarefulSums& careful() {
    if (!careful_) {
      careful_ = task_.capped != nullptr
                     ? SumCappedCarefully<false>(task_, scratch_)
                     : SumRowCarefully(task_, max_, scratch_);
    }
    return *careful_;
  }
  void set_careful(const CarefulSums& sums) { careful_ = sums; }

  // Only float64's results reach what was lost: narrower ones are 0 long
  // before.
  bool has_tiny_target() {
    if (!has_tiny_target_) {
      has_tiny_target_ =
          task_.type == ElementType::kFloat64 && HasTinyTarget(task_);
    }
    return *has_tiny_target_;
  }

  // sum_j q_j + 2 z_loss lse, which multiplies the probabilities; to
  // kTotalError unless it cancels.
  ApproxPair Total() {
    const ApproxPair total = TotalBy(Way::kCareful);
    if (total.error <= total.size() * kTotalError) return total;
    return TotalBy(Way::kExact);
  }

  // Probabilities, their logarithms, and the gradient, q being the target's
  // weight.
  ApproxPair ShareBy(Way way, int64_t i) {
    return ExponentialBy(way, i) / SumBy(way);
  }
  ApproxPair GradientBy(Way way, int64_t i, Pair q) {
    const ApproxPair gradient = UncappedGradientBy(way, i, q);
    if (task_.capped == nullptr) return gradient;
    const Pair slope = {task_.capped->slopes[i], task_.capped->slopes_low[i]};
    const ApproxPair scaled = gradient * Within(slope, kCappedError);
    return {Scaled(scaled.value, kUnscaleSlope), scaled.error * kUnscaleSlope};
  }

  ApproxPair LogSumExpBy(Way way) { return ScaledMax() + LogSumBy(way); }

  ApproxPair LogShareBy(Way way, int64_t i) {
    return ScaledBelow(i) - LogSumBy(way);
  }

  // REQUIRES: a label; not has_infinite_loss().
  ApproxPair LossBy(Way way) {
    const ApproxPair target = TargetOfLabel();
    const ApproxPair row_weight = Exactly(task_.row_weight);
    ApproxPair loss = Exactly(0.0);
    if (task_.HasTarget(task_.label)) {  // else the logit may be -inf
      const ApproxPair below = ScaledBelow(task_.label);
      loss = target * ApproxPair{-below.value, below.error};
    }
    if (!task_.targets.one_hot()) {
      loss = loss + Within(targets().distances, kTargetPairsError);
    }
    if (task_.z_loss != 0.0) {
      const ApproxPair lse = LogSumExpBy(way);
      loss = loss + Exactly(task_.z_loss) * (lse * lse);
    }
    return row_weight * loss +
           TimesLogSumBy(way, row_weight * (target + OtherTargets()));
  }

 private:
  ApproxPair UncappedGradientBy(Way way, int64_t i, Pair q) {
    const ApproxPair scale = Within(GradientScale(task_), 0x1p-97);
    if (i == task_.label) {
      // The label's own part of the total would cancel against its target.
      // The factors first: a quotient may underflow before they raise it.
      return ((scale * OthersTotalBy(way)) * ExponentialBy(way, i) -
              (scale * TargetOfLabel()) * OthersBy(way)) /
             SumBy(way);
    }
    const ApproxPair part = TotalBy(way) * ShareBy(way, i);
    if (task_.targets.one_hot()) return scale * part;
    return scale * (part - Within(q, 0x1p-98));
  }

  // The largest a_i, and how far below it another lies.
  ApproxPair ScaledMax() const {
    if (task_.capped == nullptr) return Exactly(max_) * Exactly(task_.scale);
    const Pair max = {task_.capped->max, task_.capped->max_low};
    ApproxPair capped = Within(max, kCappedError);
    // Next to 0 the quotient by the cap may have underflown.
    if (max_ != 0.0)
      capped.error += task_.scale * task_.capped->cap * 0x1p-1060;
    return capped;
  }
  ApproxPair ScaledBelow(int64_t i) const {
    if (task_.capped != nullptr) {
      return Within(CappedBelow(task_, i), kCappedError);
    }
    return ApproxPair{TwoSum(task_.Logit(i), -max_), 0.0} *
           Exactly(task_.scale);
  }

  const ExactSums& exact() {
    if (!exact_) exact_ = SumExactly(task_, max_);
    return *exact_;
  }

  double exact_error() const {
    return task_.capped != nullptr ? kCappedExactError : kExactError;
  }

  void FindTargets() {
    double* high =
        RowScratch::Room(scratch_.target_pairs, task_.classes + kChunk);
    double* low =
        RowScratch::Room(scratch_.target_pairs_low, task_.classes + kChunk);
    FillTargets(task_, high, low);
    if (task_.capped != nullptr) {
      targets_ = SumCappedTargets(task_, high, low, scratch_);
      return;
    }
    targets_ = WithElementType(task_.type, [&](auto zero) {
      return SumTargetPairs<decltype(zero)>(task_, max_, high, low, scratch_);
    });
  }

  // exp(scale (z_i - max)), the sum over all classes but the label, and that
  // over all, times the same power of two.
  ApproxPair ExponentialBy(Way way, int64_t i) {
    if (way == Way::kCareful) {
      return Within(task_.capped != nullptr
                        ? CarefulExpOfCapped(task_, i)
                        : CarefulExpOfLogit(task_.Logit(i), max_, task_.scale),
                    kCarefulError);
    }
    ApproxPair e = Within(ExactExpOfLogit(task_, i, max_), exact_error());
    if (task_.Logit(i) != max_) e.error += 0x1p-1060;
    return e;
  }
  ApproxPair OthersBy(Way way) {
    if (way == Way::kCareful) return Within(careful().others, kCarefulError);
    ApproxPair others = Within(exact().others(), exact_error());
    if (MayHaveLostRest()) others.error += 0x1p-1060;
    return others;
  }
  // What is too small for a pair is 0 in any narrower type.
  bool MayHaveLostRest() {
    return exact().rest.hi != 0.0 ||
           (task_.type == ElementType::kFloat64 && exact().has_rest);
  }
  ApproxPair SumBy(Way way) {
    if (way == Way::kCareful) {
      return Within(careful().others + careful().label, kCarefulError);
    }
    return Within(Pair{1.0, 0.0} + exact().all_but_one(), exact_error());
  }

  // ln of the sum of exp(scale (z_j - max)), never negative.
  ApproxPair LogSumBy(Way way) {
    std::optional<ApproxPair>& log_sum = log_sums_[way == Way::kExact];
    if (!log_sum) log_sum = TakeLogSumBy(way);
    return *log_sum;
  }
  ApproxPair TakeLogSumBy(Way way) {
    if (way == Way::kExact) {
      ApproxPair ln =
          Within(ExactLog1p(exact().all_but_one()),
                 task_.capped != nullptr ? kCappedExactError : kLogError);
      if (MayHaveLostRest()) ln.error += 0x1p-1060;
      return ln;
    }
    if (task_.label != kNoLabel && task_.Logit(task_.label) == max_) {
      // What would cancel is left out.
      const Pair ratio = careful().others / careful().label;
      ApproxPair ln = Within(ExactLog1p(ratio), 2 * kCarefulError);
      if (task_.type == ElementType::kFloat64 && ratio.hi < 0x1p-900) {
        ln.error += ratio.hi == 0.0 ? 0x1p-1074 : kUnderflow;
      }
      return ln;
    }
    constexpr double kUnscale = 0x1p-512;
    static_assert(kCarefulScaleBits == 512);
    const Pair sum = Scaled(careful().others + careful().label, kUnscale);
    const Pair ln = ExactLog1p(sum - Pair{1.0, 0.0});
    return {ln, 2 * kCarefulError + ln.hi * kLogError};
  }
  ApproxPair TargetOfLabel() {
    return Within(TargetWeight(task_, task_.label), 0x1p-98);
  }
  ApproxPair OtherTargets() {
    return Within(targets().weights, kTargetPairsError);
  }

  // Of q but for the label's, and 2 z_loss lse.
  ApproxPair OthersTotalBy(Way way) {
    if (task_.z_loss == 0.0) return OtherTargets();
    return OtherTargets() + Exactly(2.0 * task_.z_loss) * LogSumExpBy(way);
  }
  ApproxPair TotalBy(Way way) { return TargetOfLabel() + OthersTotalBy(way); }

  // factor ln S, also where the logarithm alone would underflow.
  ApproxPair TimesLogSumBy(Way way, ApproxPair factor) {
    if (way == Way::kCareful && task_.Logit(task_.label) == max_ &&
        careful().others.hi < careful().label.hi * 0x1p-110) {
      // There it is its argument.
      return factor * Within(careful().others, 3 * kCarefulError) /
             ApproxPair{careful().label, 0.0};
    }
    return factor * LogSumBy(way);
  }
  const RowTask& task_;
  const double max_;
  RowScratch& scratch_;
  std::optional<ApproxPair> log_sums_[2];  // careful, exact
  std::optional<bool> has_tiny_target_;
  std::optional<TargetPairs> targets_;
  std::optional<CarefulSums> careful_;
  std::optional<ExactSums> exact_;
};

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
