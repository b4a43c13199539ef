// The results of a row of KL divergence that vectors leave in doubt: by exact
// pairs, then in as many bits as they take (kl_task.h has the formula).
// Included once per instruction set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_KL_DECIDE_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_KL_DECIDE_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_KL_DECIDE_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_KL_DECIDE_INL_H_
#endif

#include <cmath>
#include <optional>

#include "hwy/highway.h"
#include "server/compute/exact/bounded-inl.h"
#include "server/compute/exact/exp-inl.h"
#include "server/compute/exact/kl_sums-inl.h"
#include "server/compute/exact/kl_task.h"
#include "server/compute/exact/log-inl.h"
#include "server/compute/exact/real_kl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// Relative errors: ExactExp's 2^-97 and that of an argument up to 1000; a
// logarithm's, in units of 1 + |ln|.
inline constexpr double kExactKlExp = 0x1p-88;
inline constexpr double kExactKlLog = 0x1p-94;
// What pairs lose of an exponential near the smallest doubles.
inline constexpr double kExactKlLost = 0x1p-1060;

// One row in exact pairs. The largest term of S, and of F, is left out of sums:
// it is exactly 1, and would hide what the others add.
class ExactKl {
 public:
  explicit ExactKl(const KlTask& task)
      : task_(task), inverse_t_(Pair{1.0, 0.0} / Pair{task.temperature, 0.0}) {
    students_ = SumOf(task.z, task.z_max);
    if (task.teacher_is_logits) {
      teachers_ = SumOf(task.t, task.t_max);
      return;
    }
    Pair sum;
    for (int64_t i = 0; i < task.classes; ++i) sum = sum + Pair{task.t[i], 0.0};
    teachers_.rest = {sum,
                      sum.hi * 0x1p-103 * static_cast<double>(task.classes)};
  }

  // REQUIRES: the loss is finite.
  HWY_NOINLINE ApproxPair Loss() const {
    KlParts<Pair> parts;
    parts.s = OnePlus(students_.rest);
    parts.log_s = LogOfOnePlus(students_.rest);
    parts.f = teachers_.rest;
    if (task_.teacher_is_logits) {
      parts.f = OnePlus(teachers_.rest);
      parts.log_f = LogOfOnePlus(teachers_.rest);
    }
    double size = 0.0;
    for (int64_t i = 0; i < task_.classes; ++i) {
      if (task_.teacher_is_logits) {
        AddDistance(i, parts.d.value, size);
      } else {
        AddLogarithm(i, parts.d.value, size);
      }
    }
    parts.d.error = 2.0 * kExactKlExp * size;
    return KlLoss(task_, parts);
  }

  HWY_NOINLINE ApproxPair Slope(int64_t i) const {
    const ApproxPair e = Exponential(task_.z[i], task_.z_max);
    const ApproxPair others = SumBut(students_, i, e);
    ApproxPair whole = OnePlus(students_.rest);
    ApproxPair f = {{task_.t[i], 0.0}, 0.0};
    ApproxPair teachers;
    if (task_.teacher_is_logits) {
      f = Exponential(task_.t[i], task_.t_max);
      teachers = SumBut(teachers_, i, f);
      whole = whole * OnePlus(teachers_.rest);
    } else {
      teachers = teachers_.rest - f;
    }
    const ApproxPair t = {{task_.temperature, 0.0}, 0.0};
    return t * ((teachers * e - f * others) / whole);
  }

 private:
  struct Sum {
    int64_t largest = 0;  // the first of the largest
    ApproxPair rest;      // all terms but that
  };

  static ApproxPair OnePlus(ApproxPair x) {
    return ApproxPair{{1.0, 0.0}, 0.0} + x;
  }
  static ApproxPair LogOfOnePlus(ApproxPair x) {
    const Pair log = ExactLog1p(x.value);
    return {log, 1.01 * x.error + log.hi * 0x1p-84};
  }

  ApproxPair Exponential(double logit, double max) const {
    constexpr Pair kShift = {0x1.62e42fefa39efp+8, 0x1.abc9e3b39803fp-47};
    constexpr double kUnshift = 0x1p-512;  // exp(-kShift)
    if (logit == max) return {{1.0, 0.0}, 0.0};
    if (std::isinf(logit)) return {};
    const Pair x = TwoSum(logit, -max) * inverse_t_;
    if (x.hi < -1000.0) return {{}, kExactKlLost};
    if (x.hi > -600.0) return Within(ExactExp(x), kExactKlExp);
    ApproxPair e = Within(Scaled(ExactExp(x + kShift), kUnshift), kExactKlExp);
    e.error += kExactKlLost;
    return e;
  }
  static ApproxPair Within(Pair value, double error) {
    return {value, std::abs(value.hi) * error};
  }

  Sum SumOf(const double* logits, double max) const {
    Sum sum;
    sum.largest = -1;
    Pair rest;
    double lost = 0.0;
    for (int64_t i = 0; i < task_.classes; ++i) {
      if (logits[i] == max && sum.largest < 0) {
        sum.largest = i;
        continue;
      }
      const ApproxPair e = Exponential(logits[i], max);
      rest = rest + e.value;
      lost += e.error - e.value.hi * kExactKlExp;
    }
    sum.rest = {rest, rest.hi * 2.0 * kExactKlExp + 2.0 * lost};
    return sum;
  }

  // A sum without the term `own` of class `i`.
  static ApproxPair SumBut(const Sum& sum, int64_t i, ApproxPair own) {
    return i == sum.largest ? sum.rest : OnePlus(sum.rest - own);
  }

  void AddDistance(int64_t i, Pair& sum, double& size) const {
    if (std::isinf(task_.t[i])) return;
    const Pair f = Exponential(task_.t[i], task_.t_max).value;
    const Pair distance =
        TwoSum(task_.t[i], -task_.t_max) - TwoSum(task_.z[i], -task_.z_max);
    sum = sum + f * distance;
    size += f.hi * std::abs(distance.hi);
  }

  void AddLogarithm(int64_t i, Pair& sum, double& size) const {
    const double q = task_.t[i];
    if (q == 0.0) return;
    int exponent = 0;
    const double mantissa = 2.0 * std::frexp(q, &exponent);
    const Pair log =
        Pair{exponent - 1.0, 0.0} * Pair{kVectorLn2, kVectorLn2Low} +
        ExactLog1p(Pair{mantissa - 1.0, 0.0});
    const Pair distance =
        log * Pair{task_.temperature, 0.0} - TwoSum(task_.z[i], -task_.z_max);
    sum = sum + Pair{q, 0.0} * distance;
    size += q * (task_.temperature *
                     (std::abs(log.hi) + kExactKlLog / kExactKlExp) +
                 std::abs(task_.z[i] - task_.z_max));
  }

  const KlTask& task_;
  const Pair inverse_t_;
  Sum students_;
  Sum teachers_;  // of probabilities `rest` is all
};

// Decides what is in doubt. Sums are taken when first asked for.
class KlDecider {
 public:
  // `accuracy`: the relative error that a result may have; `beyond_pairs`:
  // whether logits are so large that distances between them may overflow.
  KlDecider(const KlTask& task, double loss_accuracy, double slope_accuracy,
            bool beyond_pairs)
      : task_(task),
        loss_accuracy_(loss_accuracy),
        slope_accuracy_(slope_accuracy),
        beyond_pairs_(beyond_pairs) {}

  bool beyond_pairs() const { return beyond_pairs_; }

  // Whether the result is good enough; false for NaN.
  template <typename Number>
  bool IsCertainLoss(Bounded<Number> loss) const {
    return loss.error <= loss.size() * loss_accuracy_;
  }

  // The teacher's logits are the student's and a constant: all results are 0.
  bool is_equal() {
    if (!is_equal_) is_equal_ = task_.teacher_is_logits && IsEqual();
    return *is_equal_;
  }

  HWY_NOINLINE Pair Slope(int64_t i) {
    if (is_equal()) return {};
    if (!beyond_pairs_) {
      const ApproxPair slope = exact().Slope(i);
      if (slope.error <= slope.size() * slope_accuracy_) return slope.value;
    }
    const RealKl::Number slope = real().Slope(i);
    return {slope.high, slope.low};
  }

  // REQUIRES: it is finite.
  HWY_NOINLINE Pair Loss() {
    if (is_equal()) return {};
    if (!beyond_pairs_) {
      const ApproxPair careful = task_.teacher_is_logits
                                     ? SumAndTakeLoss<true>()
                                     : SumAndTakeLoss<false>();
      if (IsCertainLoss(careful)) return careful.value;
      const ApproxPair loss = exact().Loss();
      if (IsCertainLoss(loss)) return loss.value;
    }
    const RealKl::Number loss = real().Loss();
    return {loss.high, loss.low};
  }

 private:
  template <bool kLogits>
  ApproxPair SumAndTakeLoss() const {
    return KlLoss(task_, SumKlCarefully<kLogits>(task_, KlRoom()));
  }

  bool IsEqual() const {
    const Pair first = TwoSum(task_.t_max, -task_.z_max);
    for (int64_t i = 0; i < task_.classes; ++i) {
      if (std::isinf(task_.t[i]) && std::isinf(task_.z[i])) continue;
      const Pair offset = TwoSum(task_.t[i], -task_.z[i]);
      if (!(offset.hi == first.hi && offset.lo == first.lo)) return false;
    }
    return true;
  }

  const ExactKl& exact() {
    if (!exact_) exact_.emplace(task_);
    return *exact_;
  }
  RealKl& real() {
    if (!real_) real_.emplace(task_);
    return *real_;
  }

  const KlTask& task_;
  const double loss_accuracy_;
  const double slope_accuracy_;
  const bool beyond_pairs_;
  std::optional<bool> is_equal_;
  std::optional<ExactKl> exact_;
  std::optional<RealKl> real_;
};

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
