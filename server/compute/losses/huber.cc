#include "server/compute/losses/huber.h"

#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/compute/losses/huber.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/batch_checks.h"
#include "server/compute/losses/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {
namespace {

class HuberFormula {
 public:
  static constexpr int kSlopeScaleBits = 0;
  explicit HuberFormula(const Huber& loss) : delta_(loss.delta) {}

  HWY_INLINE Element At(VecD z, VecD t, int64_t) const {
    const Doubles d;
    const VecD delta = hn::Set(d, delta_);
    const VecPair difference = TwoSum(z, hn::Neg(t));
    const auto negative = hn::Lt(difference.hi, hn::Zero(d));
    const VecPair size = Select(negative, Neg(difference), difference);
    // size <= delta, also by its low half.
    const auto inside =
        hn::Or(hn::Lt(size.hi, delta),
               hn::And(hn::Eq(size.hi, delta), hn::Le(size.lo, hn::Zero(d))));
    const VecPair square = Scaled(Mul(difference, difference), 0.5);
    // Of the same sign: |d| - delta / 2 > delta / 2.
    const VecPair line =
        Mul({delta, hn::Zero(d)}, Add(size, PairOf(-0.5 * delta_)));
    const VecPair end = {hn::CopySignToAbs(delta, difference.hi), hn::Zero(d)};
    return {Select(inside, square, line), Select(inside, difference, end),
            hn::MaskFromVec(hn::Zero(d))};
  }
  HWY_INLINE NarrowElement NarrowAt(VecD z, VecD t, int64_t) const {
    const Doubles d;
    const VecD delta = hn::Set(d, delta_);
    const VecD difference = hn::Sub(z, t);
    const VecD size = hn::Abs(difference);
    const VecD half = hn::Set(d, 0.5);
    const VecD square = hn::Mul(hn::Mul(difference, difference), half);
    const VecD line = hn::Mul(delta, hn::Sub(size, hn::Mul(delta, half)));
    const auto inside = hn::Le(size, delta);
    return {hn::IfThenElse(inside, square, line),
            hn::IfThenElse(inside, difference,
                           hn::CopySignToAbs(delta, difference)),
            hn::MaskFromVec(hn::Zero(d))};
  }
  // Never in doubt: the difference is exact.
  Pair Slope(double z, double t, int64_t) const {
    const Pair difference = TwoSum(z, -t);
    if (std::abs(difference.hi) < delta_) return difference;
    return {std::copysign(delta_, difference.hi), 0.0};
  }
  ScalarElement AtMinusInfinity(double, int64_t) const {
    return {std::numeric_limits<double>::infinity(), {-delta_, 0.0}};
  }

 private:
  double delta_;
};

}  // namespace

RowSums HuberRows(const LossJob<Huber>& job, int64_t first, int64_t last) {
  return ComputeElementwiseRows(job, HuberFormula(*job.loss), first, last);
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd::compute {

HWY_EXPORT(HuberRows);

LossRules RulesOf(const Huber&) {
  return {.takes_targets = true,
          .min_target = -std::numeric_limits<double>::max(),
          .max_target = std::numeric_limits<double>::max(),
          .target_range = "a finite number"};
}

absl::Status CheckOptions(const Huber& loss, const Batch&) {
  if (loss.delta >= kMinFactor && loss.delta <= kMaxFactor) {
    return absl::OkStatus();
  }
  return OptionOutOfRange("delta", loss.delta, "[2^-100, 2^100]");
}

RowSums ComputeRows(const LossJob<Huber>& job, int64_t first, int64_t last) {
  return HWY_DYNAMIC_DISPATCH(HuberRows)(job, first, last);
}

}  // namespace lossd::compute
#endif  // HWY_ONCE
