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
#include <cstring>
#include <mutex>
#include <optional>

#include "hwy/highway.h"
#include "server/compute/exact/log-inl.h"
#include "server/compute/exact/rounding-inl.h"
#include "server/compute/exact/row_scratch.h"
#include "server/compute/exact/slow_sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// Relative errors of what is made from careful and from exact sums; the true
// bounds are 2^-58 and 2^-84.
inline constexpr double kCarefulError = 0x1p-57;
inline constexpr double kExactError = 0x1p-80;

inline constexpr double kCarefulUnscale = 0x1p-512;
static_assert(kCarefulScaleBits == 512);

// One row's results by careful and by exact arithmetic. Sums are taken when
// first asked for.
template <typename T>
class Decider {
 public:
  Decider(const RowTask& task, double max, RowScratch& scratch)
      : task_(task),
        z_(reinterpret_cast<const T*>(task.logits)),
        max_(max),
        scratch_(scratch),
        slow_paths_(scratch.slow_paths) {}

  const CarefulSums& careful() {
    if (!careful_) {
      careful_ = SumRowCarefully<false, T>(task_, max_, scratch_);
    }
    return *careful_;
  }

  const ExactSums& exact() {
    if (!exact_) {
      exact_ = SumExactly(z_, task_.classes, task_.label, max_);
    }
    return *exact_;
  }

  // The row's loss and log_sum_exp, rounded to T. REQUIRES: a label, not at
  // -inf.
  T Loss() {
    ++slow_paths_.careful;
    const double z = Logit(task_.label);
    Bounded ln = z == max_ ? CarefulLogOnePlusOthers() : CarefulLogSum();
    if (const auto rounded = Round(Above(z, ln))) return *rounded;
    ++slow_paths_.exact;
    return RoundAnyway(Above(z, ExactLogSum()));
  }
  T LogSumExp() {
    ++slow_paths_.careful;
    if (const auto rounded = Round(Above(0.0, CarefulLogSum())))
      return *rounded;
    ++slow_paths_.exact;
    return RoundAnyway(Above(0.0, ExactLogSum()));
  }

  // The gradient at `i`, not the label, as a float. Threads: those that share
  // the row's spans may all call it, and nothing else meanwhile.
  float GradientAt(int64_t i) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++slow_paths_.careful;
    const Pair e = CarefulExpAt(i);
    const Pair sum = careful().others + careful().label;
    const Pair g = Scale() * (e / sum);
    const auto rounded = RoundIfCertain(g, std::abs(g.hi) * kCarefulError);
    if (rounded) return *rounded;
    ++slow_paths_.exact;
    const bool is_max = Logit(i) == max_;
    const Pair exact_e = ExactExpOfLogit(Logit(i), max_);
    const Pair all = Pair{1.0, 0.0} + exact().all_but_one();
    const Pair exact_g = Scale() * (exact_e / all);
    const auto certain =
        RoundIfCertain(exact_g, std::abs(exact_g.hi) * kExactError);
    if (certain || !is_max) return certain.value_or(RoundToFloat(exact_g));
    // u / (D (count + rest)): compare u - t D count with t D rest.
    const double count = exact().count + (exact().label_is_max ? 1.0 : 0.0);
    const Pair rest =
        exact().label_is_max ? exact().rest : exact().rest + exact().label;
    return Decide(exact_g, [&](double t) {
      const Pair td = TwoProduct(t, task_.denominator);
      return Pair{task_.numerator, 0.0} - td * Pair{count, 0.0} - td * rest;
    });
  }

  // The gradient at the label, as a float.
  float GradientAtLabel() {
    ++slow_paths_.careful;
    const Pair sum = careful().others + careful().label;
    const Pair g = -(Scale() * (careful().others / sum));
    const auto rounded = RoundIfCertain(g, std::abs(g.hi) * kCarefulError);
    if (rounded) return *rounded;
    ++slow_paths_.exact;
    const ExactSums& s = exact();
    const Pair all = Pair{1.0, 0.0} + s.all_but_one();
    const Pair exact_g = -(Scale() * (s.others() / all));
    const auto certain =
        RoundIfCertain(exact_g, std::abs(exact_g.hi) * kExactError);
    if (certain) return *certain;
    // (u / D) (others / (others + e)): compare (u - t D) others with t D e.
    return Decide(exact_g, [&](double t) {
      const Pair td = TwoProduct(t, task_.denominator);
      const Pair v = Pair{-task_.numerator, 0.0} - td;
      if (s.label_is_max) {
        return v * Pair{s.count, 0.0} - td + v * s.rest;
      }
      return v * s.others() - td * s.label;
    });
  }

  // numerator / denominator.
  Pair Scale() const {
    return Pair{task_.numerator, 0.0} / Pair{task_.denominator, 0.0};
  }

  double Logit(int64_t i) const {
    T logit;
    std::memcpy(&logit, z_ + i, sizeof(T));
    return logit;
  }

 private:
  // A number within `error` of `value`.
  struct Bounded {
    Pair value;
    double error;
  };

  // max - z + x.
  Bounded Above(double z, Bounded x) const {
    return {TwoSum(max_, -z) + x.value, x.error};
  }

  // ln of the sum of exp(z_j - max).
  Bounded CarefulLogSum() {
    const Pair sum =
        Scaled(careful().others + careful().label, kCarefulUnscale);
    const Pair ln = ExactLog1p(sum - Pair{1.0, 0.0});
    return {ln, kCarefulError + ln.hi * kExactError};
  }
  // The same where the label is a maximum: what cancels is left out.
  Bounded CarefulLogOnePlusOthers() {
    const Pair ln = ExactLog1p(careful().others / careful().label);
    return {ln, ln.hi * kCarefulError};
  }
  Bounded ExactLogSum() {
    const Pair ln = ExactLog1p(exact().all_but_one());
    return {ln, ln.hi * kExactError};
  }

  // The T nearest to the number, where that is certain; for float64, within 1
  // ulp.
  static std::optional<T> Round(Bounded x) {
    if constexpr (sizeof(T) == sizeof(float)) {
      return RoundIfCertain(x.value, x.error);
    } else {
      if (x.error > std::abs(x.value.hi) * 0x1p-55) return std::nullopt;
      return x.value.hi;
    }
  }
  static T RoundAnyway(Bounded x) {
    if constexpr (sizeof(T) == sizeof(float)) return RoundToFloat(x.value);
    return x.value.hi;
  }

  Pair CarefulExpAt(int64_t i) const {
    const Doubles d;
    T logits[kChunk];
    std::fill_n(logits, kChunk, static_cast<T>(Logit(i)));
    const VecPair e = CarefulExpOfLogits(logits, hn::Set(d, max_));
    return {hn::GetLane(e.hi), hn::GetLane(e.lo)};
  }

  // Rounds `value`, which lies so near the middle t of two floats that only
  // `compare(t)`, which has the sign of value - t, can tell on which side.
  template <typename Compare>
  float Decide(Pair value, const Compare& compare) {
    ++slow_paths_.ties;
    const double error = std::abs(value.hi) * kExactError;
    const float below = RoundToFloat(value + Pair{-error, 0.0});
    const float above = RoundToFloat(value + Pair{error, 0.0});
    const double middle = 0.5 * (Finite(below) + Finite(above));
    const double side = compare(middle).hi;
    if (side == 0.0) return static_cast<float>(middle);  // ties to even
    return side > 0.0 ? above : below;
  }

  // Rounding takes infinity for the power of two after the largest float.
  static double Finite(float value) {
    return std::isinf(value) ? std::copysign(0x1p128, value) : value;
  }

  const RowTask& task_;
  const T* const z_;
  const double max_;
  RowScratch& scratch_;
  SlowPaths& slow_paths_;
  std::mutex mutex_;
  std::optional<CarefulSums> careful_;
  std::optional<ExactSums> exact_;
};

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
