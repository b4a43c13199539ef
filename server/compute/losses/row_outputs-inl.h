// Where the results of one row go, whatever the loss. Included once per
// instruction set.
#if defined(LOSSD_SERVER_COMPUTE_LOSSES_ROW_OUTPUTS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_LOSSES_ROW_OUTPUTS_INL_H_
#undef LOSSD_SERVER_COMPUTE_LOSSES_ROW_OUTPUTS_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_LOSSES_ROW_OUTPUTS_INL_H_
#endif

#include <cmath>
#include <cstring>
#include <limits>

#include "hwy/highway.h"
#include "server/compute/exact/double_double-inl.h"
#include "server/compute/exact/rounding-inl.h"
#include "server/compute/exact/row_scratch.h"
#include "server/compute/exact/row_task.h"
#include "server/compute/exact/search-inl.h"
#include "server/compute/losses/loss_job.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// One row of a job: its logits, its factors and the places of its results.
class RowOutputs {
 public:
  template <typename Loss>
  RowOutputs(const LossJob<Loss>& job, int64_t row, RowScratch& scratch)
      : batch_(*job.batch),
        out_(*job.outputs),
        row_(row),
        logits_(job.logits->Row(row, scratch.gathered)),
        gradient_(GradientOf(job, row)),
        weight_(RowWeight(batch_, row)) {
    const double upstream = Upstream(batch_, row);
    has_gradient_ = weight_ != 0.0 && upstream != 0.0 && job.divisor != 0.0;
    if (has_gradient_) {
      factor_ =
          Pair{weight_, 0.0} * Pair{upstream, 0.0} / Pair{job.divisor, 0.0};
    }
  }

  ElementType type() const { return batch_.logits_type; }
  int64_t classes() const { return batch_.classes; }
  const std::byte* logits() const { return logits_; }
  double Logit(int64_t i) const { return LoadElement(type(), logits_, i); }
  // Whether all results have room to spare in float64.
  bool is_narrow() const {
    return type() != ElementType::kFloat64 &&
           gradient_type() != ElementType::kFloat64;
  }

  ElementType gradient_type() const {
    return out_.gradient_type.value_or(batch_.logits_type);
  }
  // [classes] of gradient_type(), to be filled; null where no gradient is
  // wanted, or where it is 0.
  std::byte* gradient() const { return has_gradient_ ? gradient_ : nullptr; }
  // row_weight upstream / divisor; 0 where that makes no gradient.
  Pair factor() const { return factor_; }

  // The largest logit; not in range where one is NaN or +inf.
  Maximum Largest() const {
    return WithElementType(type(), [&](auto zero) HWY_ATTR {
      using T = decltype(zero);
      constexpr double kLargest = std::numeric_limits<LaneOf<T>>::max();
      return MaximumInRange<T>(logits_, classes(), -HUGE_VAL, kLargest);
    });
  }
  int64_t FirstIndex(double logit) const {
    return WithElementType(type(), [&](auto zero) HWY_ATTR {
      return FirstIndexOf<decltype(zero)>(logit, logits_, classes());
    });
  }
  int64_t Prediction() const {
    const Maximum max = Largest();
    if (max.in_range) return FirstIndex(max.value);
    RowTask task;
    task.type = type();
    task.logits = logits_;
    task.classes = classes();
    return PredictionOfNonFiniteRow(task);
  }

  // Writes what is left, the row's loss being `loss` before its weight, and
  // adds it to `sums`.
  HWY_NOINLINE void Finish(Pair loss, RowSums& sums) const {
    if (!has_gradient_) ZeroGradient();
    double rounded = 0.0, wide = 0.0;
    // 0 times an infinite loss is 0.
    if (weight_ != 0.0 && std::isinf(loss.hi)) {
      wide = rounded = loss.hi;
    } else if (weight_ != 0.0) {
      const Pair weighted = loss * Pair{weight_, 0.0};
      wide = std::isinf(weighted.hi) ? weighted.hi : weighted.hi + weighted.lo;
      rounded = std::isinf(wide) ? wide : RoundTo(type(), weighted);
    }
    Store(wide, rounded, sums);
  }
  // The same for a row over class indices whose largest logit is `max`.
  void Finish(Pair loss, int64_t label, double max, RowSums& sums) const {
    // The scan is for ties.
    sums.correct_count += Logit(label) == max && FirstIndex(max) == label;
    Finish(loss, sums);
  }

  // Writes the results of a row with NaN or +inf, or of no possible class.
  HWY_NOINLINE void FinishUndefined(RowSums& sums) const {
    if (sums.first_bad_row < 0) sums.first_bad_row = row_;
    if (gradient_ != nullptr) {
      FillWithNan(gradient_type(), classes(), gradient_);
    }
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    Store(kNan, kNan, sums);
  }

  // Writes the results of a row that does not count.
  HWY_NOINLINE void FinishIgnored(RowSums& sums) const {
    ZeroGradient();
    Store(0.0, 0.0, sums);
  }

 private:
  void ZeroGradient() const {
    if (gradient_ != nullptr) {
      std::memset(gradient_, 0, classes() * ElementBytes(gradient_type()));
    }
  }
  void Store(double loss, double rounded, RowSums& sums) const {
    sums.loss.Add(loss);
    if (!out_.row_losses.empty()) {
      StoreElement(type(), rounded, out_.row_losses.data(), row_);
    }
    if (!out_.predictions.empty()) {
      StoreElement(Prediction(), out_.predictions.data(), row_);
    }
  }

  const Batch& batch_;
  const LossOutputs& out_;
  const int64_t row_;
  const std::byte* const logits_;  // [classes] of type()
  std::byte* const gradient_;      // as GradientOf has it
  const double weight_;
  bool has_gradient_ = false;
  Pair factor_;
};

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
