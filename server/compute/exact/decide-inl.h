// Results of one row that the fast pass could not round with certainty.
// Included once per instruction set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_DECIDE_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_DECIDE_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_DECIDE_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_DECIDE_INL_H_
#endif

#include <cmath>
#include <mutex>
#include <optional>

#include "hwy/highway.h"
#include "server/compute/exact/capped_real_row.h"
#include "server/compute/exact/real_row.h"
#include "server/compute/exact/rounding-inl.h"
#include "server/compute/exact/row_scratch.h"
#include "server/compute/exact/row_terms-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// One row's results: by careful and by exact arithmetic where their bounds
// leave no doubt, else by RealRow.
class Decider {
 public:
  Decider(const RowTask& task, double max, RowScratch& scratch)
      : task_(task), max_(max), scratch_(scratch), terms_(task, max, scratch) {}

  // Results as numbers of the gradient's, or the logits', type. Threads: those
  // that share the row's spans may call these two, and nothing else meanwhile.
  double Gradient(int64_t i) {
    const std::lock_guard<std::mutex> lock(mutex_);
    // Where many elements are in doubt they tend to be the same.
    const double logit = task_.Logit(i);
    const double target = task_.Target(i);
    const double weight = task_.targets.class_weight(i);
    const bool is_label = i == task_.label;
    if (last_ && last_->logit == logit && last_->target == target &&
        last_->weight == weight && !is_label) {
      return last_->gradient;
    }
    const Pair q = TargetWeight(task_, i);
    const double gradient = Decide(
        task_.gradient_type, RaisesGradient(),
        [&](Way way) { return terms_.GradientBy(way, i, q); },
        [&](auto& row) { return row.Gradient(i, task_.gradient_type); });
    if (!is_label) last_ = Last{logit, target, weight, gradient};
    return gradient;
  }
  double Probability(int64_t i) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return Decide(
        task_.type, false, [&](Way way) { return terms_.ShareBy(way, i); },
        [&](auto& row) { return row.Probability(i, task_.type); });
  }

  double LogProbability(int64_t i) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (std::isinf(task_.Logit(i))) return task_.Logit(i);
    return Decide(
        task_.type, false, [&](Way way) { return terms_.LogShareBy(way, i); },
        [&](auto& row) { return row.LogProbability(i, task_.type); });
  }

  double LogSumExp() {
    return Decide(
        task_.type, false, [&](Way way) { return terms_.LogSumExpBy(way); },
        [&](auto& row) { return row.LogSumExp(task_.type); });
  }
  // REQUIRES: a label; not has_infinite_loss().
  double Loss() { return LossAs(task_.type); }
  // The loss, not rounded to the logits' type, within 1 ulp.
  double WideLoss() { return LossAs(ElementType::kFloat64); }

  // Whether the gradient's factors are so large that exponentials and targets
  // count that pairs of float64 take for 0.
  bool RaisesGradient() {
    if (task_.type != ElementType::kFloat64) return false;
    if (!raises_gradient_) {
      const double scale = std::abs(GradientScale(task_).hi);
      const double total = std::abs(terms_.Total().value.hi);
      raises_gradient_ = !(scale * std::max(total, 1.0) < 0x1p400) ||
                         (scale > 1.0 && terms_.has_tiny_target());
      // A cap's slope below 2^-1412 is known to few bits: 0 but for these.
      if (task_.capped != nullptr) {
        raises_gradient_ = *raises_gradient_ || !(scale < 0x1p90) ||
                           !(scale * total < 0x1p300);
      }
    }
    return *raises_gradient_;
  }

  // The parts, and what they are made of.
  RowTerms& terms() { return terms_; }

 private:
  using Way = RowTerms::Way;
  struct Last {
    double logit;
    double target;
    double weight;
    double gradient;
  };

  // `raises`: factors make something of what pairs of float64 lost.
  template <typename By, typename ByReal>
  double Decide(ElementType type, bool raises, const By& by,
                const ByReal& by_real) {
    if (!raises) {
      ++scratch_.slow_paths.careful;
      if (const auto value = RoundIfCertain(type, by(Way::kCareful))) {
        return *value;
      }
      ++scratch_.slow_paths.exact;
      if (const auto value = RoundIfCertain(type, by(Way::kExact))) {
        return *value;
      }
    }
    ++scratch_.slow_paths.unlimited;
    if (task_.capped != nullptr) {
      if (!capped_real_) capped_real_.emplace(task_, max_);
      return by_real(*capped_real_);
    }
    if (!real_) real_.emplace(task_, max_);
    return by_real(*real_);
  }

  double LossAs(ElementType type) {
    const bool raises =
        std::abs(task_.row_weight) > 1.0 && terms_.has_tiny_target();
    return Decide(
        type, raises, [&](Way way) { return terms_.LossBy(way); },
        [&](auto& row) { return row.Loss(type); });
  }

  const RowTask& task_;
  const double max_;
  RowScratch& scratch_;
  std::mutex mutex_;
  RowTerms terms_;
  std::optional<Last> last_;
  std::optional<bool> raises_gradient_;
  std::optional<RealRow> real_;
  std::optional<CappedRealRow> capped_real_;
};

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
