#include "server/compute/losses/squared_error.h"

#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/compute/losses/squared_error.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/batch_checks.h"
#include "server/compute/losses/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {
namespace {

struct SquaredErrorFormula {
  static constexpr int kSlopeScaleBits = 0;
  explicit SquaredErrorFormula(const SquaredError&) {}

  HWY_INLINE Element At(VecD z, VecD t, int64_t) const {
    const VecPair difference = TwoSum(z, hn::Neg(t));
    return {Mul(difference, difference), Scaled(difference, 2.0),
            hn::MaskFromVec(hn::Zero(Doubles()))};
  }
  HWY_INLINE NarrowElement NarrowAt(VecD z, VecD t, int64_t) const {
    const VecD difference = hn::Sub(z, t);
    return {hn::Mul(difference, difference), hn::Add(difference, difference),
            hn::MaskFromVec(hn::Zero(Doubles()))};
  }
  // Never in doubt: the difference is exact.
  Pair Slope(double z, double t, int64_t) const {
    return Scaled(TwoSum(z, -t), 2.0);
  }
  ScalarElement AtMinusInfinity(double, int64_t) const {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    return {kInfinity, {-kInfinity, 0.0}};
  }
};

}  // namespace

RowSums SquaredErrorRows(const LossJob<SquaredError>& job, int64_t first,
                         int64_t last) {
  return ComputeElementwiseRows(job, SquaredErrorFormula(*job.loss), first,
                                last);
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd::compute {

HWY_EXPORT(SquaredErrorRows);

LossRules RulesOf(const SquaredError&) {
  return {.takes_targets = true,
          .min_target = -std::numeric_limits<double>::max(),
          .max_target = std::numeric_limits<double>::max(),
          .target_range = "a finite number"};
}

absl::Status CheckOptions(const SquaredError&, const Batch&) {
  return absl::OkStatus();
}

RowSums ComputeRows(const LossJob<SquaredError>& job, int64_t first,
                    int64_t last) {
  return HWY_DYNAMIC_DISPATCH(SquaredErrorRows)(job, first, last);
}

}  // namespace lossd::compute
#endif  // HWY_ONCE
