#include "server/compute/losses/sigmoid_cross_entropy.h"

#include <algorithm>
#include <limits>

#include "server/compute/exact/big_float.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/compute/losses/sigmoid_cross_entropy.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/batch_checks.h"
#include "server/compute/exact/exp-inl.h"
#include "server/compute/exact/targets-inl.h"
#include "server/compute/losses/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {
namespace {

class SigmoidCrossEntropyFormula {
 public:
  static constexpr int kSlopeScaleBits = kCarefulScaleBits;
  explicit SigmoidCrossEntropyFormula(const SigmoidCrossEntropy& loss)
      : weights_(loss.positive_weights.empty() ? nullptr
                                               : loss.positive_weights.data()),
        classes_(static_cast<int64_t>(loss.positive_weights.size())),
        kept_(TwoSum(1.0, -loss.label_smoothing)),
        half_(0.5 * loss.label_smoothing),
        smoothing_(loss.label_smoothing) {}

  // With A the weight of the side that z is on, N above 0 and P below, B the
  // other's, and e = exp(-|z|): term = (A + B) ln(1 + e) + A |z|, and the slope
  // is +-(A - B e) / (1 + e), whose difference is all that cancels.
  HWY_INLINE Element At(VecD z, VecD t, int64_t i) const {
    const Doubles d;
    const VecD zero = hn::Zero(d);
    const VecPair positive =
        Mul(Weights(i), MulAdd(Broadcast(kept_), t, PairOf(half_)));
    const VecPair rest = TwoSum(hn::Set(d, 1.0), hn::Neg(t));
    const VecPair negative = Add(Mul(Broadcast(kept_), rest), PairOf(half_));
    const auto above = hn::Ge(z, zero);
    const VecPair a = Select(above, negative, positive);
    const VecPair b = Select(above, positive, negative);
    const VecD size = hn::Abs(z);
    const VecPair scaled_e = CarefulExp(hn::Neg(size), zero);
    const VecPair e = Scaled(scaled_e, 0x1p-512);
    const VecPair one_e = Add(PairOf(1.0), e);
    const VecPair scaled_a = Scaled(a, 0x1p512);
    const VecPair difference = Add(scaled_a, Neg(Mul(b, scaled_e)));
    const VecPair slope = Div(difference, one_e);
    const VecPair term =
        Add(Mul(Add(a, b), Log1pOfUnit(e)), Mul(a, VecPair{size, zero}));
    // An exponential's error is 2^-60 of the second part.
    const auto doubt = hn::Lt(hn::Abs(difference.hi),
                              hn::Mul(scaled_a.hi, hn::Set(d, 0x1p-4)));
    return {term, Select(above, slope, Neg(slope)), doubt};
  }

  // The same in float64.
  HWY_INLINE NarrowElement NarrowAt(VecD z, VecD t, int64_t i) const {
    const Doubles d;
    const VecD zero = hn::Zero(d), one = hn::Set(d, 1.0);
    const VecD kept = hn::Set(d, kept_.hi), half = hn::Set(d, half_);
    VecD positive = FusedMulAdd(kept, t, half);
    if (weights_ != nullptr) positive = hn::Mul(positive, Weights(i).hi);
    const VecD negative = FusedMulAdd(kept, hn::Sub(one, t), half);
    const auto above = hn::Ge(z, zero);
    const VecD a = hn::IfThenElse(above, negative, positive);
    const VecD b = hn::IfThenElse(above, positive, negative);
    const VecD size = hn::Abs(z);
    const VecD e = FastExp(hn::Neg(size));
    const VecD difference = hn::Sub(a, hn::Mul(b, e));
    const Softplus softplus = SoftplusOfUnit(e);
    const VecD slope = hn::Mul(difference, softplus.inverse);
    const VecD term =
        FusedMulAdd(hn::Add(a, b), softplus.log, hn::Mul(a, size));
    // The parts' error is 2^-45 of theirs at most.
    const auto doubt =
        hn::Lt(hn::Abs(difference), hn::Mul(a, hn::Set(d, 0x1p-17)));
    return {term, hn::IfThenElse(above, slope, hn::Neg(slope)), doubt};
  }

  // In pairs to 2^-95 of the parts, then in as many bits as it takes.
  HWY_NOINLINE Pair Slope(double z, double t, int64_t i) const {
    const double weight = weights_ == nullptr ? 1.0 : weights_[i];
    const double size = std::abs(z);
    const Pair positive =
        Pair{weight, 0.0} * (kept_ * Pair{t, 0.0} + Pair{half_, 0.0});
    const Pair negative = kept_ * TwoSum(1.0, -t) + Pair{half_, 0.0};
    const Pair a = z >= 0.0 ? negative : positive;
    const Pair b = z >= 0.0 ? positive : negative;
    Pair slope;
    if (size < 690.0) {
      const Pair e = ExactExp(Pair{-size, 0.0});
      const Pair difference = a - b * e;
      if (std::abs(difference.hi) >= std::abs(a.hi) * 0x1p-35) {
        slope = difference / (Pair{1.0, 0.0} + e);
        return z >= 0.0 ? slope : -slope;
      }
    }
    return SlopeOfReals(z, t, weight);
  }

  ScalarElement AtMinusInfinity(double t, int64_t i) const {
    const double weight = weights_ == nullptr ? 1.0 : weights_[i];
    const Pair positive =
        Pair{weight, 0.0} * (kept_ * Pair{t, 0.0} + Pair{half_, 0.0});
    if (positive.hi == 0.0) return {0.0, {}};
    return {std::numeric_limits<double>::infinity(), -positive};
  }

 private:
  HWY_INLINE VecPair Weights(int64_t i) const {
    const Doubles d;
    if (weights_ == nullptr) return PairOf(1.0);
    if (i + kLanes <= classes_) {
      return {hn::LoadU(d, weights_ + i), hn::Zero(d)};
    }
    HWY_ALIGN double last[kLanes];
    std::fill_n(last, kLanes, 1.0);
    for (int64_t j = i; j < classes_; ++j) last[j - i] = weights_[j];
    return {hn::Load(d, last), hn::Zero(d)};
  }

  Pair SlopeOfReals(double z, double t, double weight) const {
    const BigFloat one(1.0), half(half_);
    const BigFloat kept = one - BigFloat(smoothing_);
    const BigFloat positive = BigFloat(weight) * (kept * BigFloat(t) + half);
    const BigFloat negative = kept * (one - BigFloat(t)) + half;
    const BigFloat& a = z >= 0.0 ? negative : positive;
    const BigFloat& b = z >= 0.0 ? positive : negative;
    // At 0 the exponential is 1; elsewhere it is irrational, and the difference
    // not 0.
    const bool is_far = std::abs(z) > 0x1p30;  // where that is 0
    const int64_t most_bits = z == 0.0 || is_far ? 256 : 1 << 14;
    BigFloat difference, e;
    for (int64_t bits = 256; bits <= most_bits; bits *= 2) {
      e = z == 0.0 ? one
          : is_far ? BigFloat()
                   : Exp(BigFloat(-std::abs(z)), bits);
      difference = a - b * e;
      if (is_far || (difference.sign() != 0 &&
                     difference.exponent() > a.exponent() - bits + 110)) {
        break;
      }
    }
    if (difference.sign() == 0) return {};
    const BigFloat slope = Quotient(difference, one + e, 160);
    const double high = slope.ToDouble();
    const double low = (slope - BigFloat(high)).ToDouble();
    return z >= 0.0 ? Pair{high, low} : Pair{-high, -low};
  }

  const double* weights_;  // [classes_]; null: 1
  int64_t classes_;
  Pair kept_;    // 1 - s
  double half_;  // s / 2
  double smoothing_;
};

}  // namespace

RowSums SigmoidCrossEntropyRows(const LossJob<SigmoidCrossEntropy>& job,
                                int64_t first, int64_t last) {
  return ComputeElementwiseRows(job, SigmoidCrossEntropyFormula(*job.loss),
                                first, last);
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd::compute {

HWY_EXPORT(SigmoidCrossEntropyRows);

LossRules RulesOf(const SigmoidCrossEntropy&) {
  return {.takes_targets = true,
          .min_target = 0.0,
          .max_target = 1.0,
          .target_range = "[0, 1]"};
}

absl::Status CheckOptions(const SigmoidCrossEntropy& loss, const Batch&) {
  if (!(loss.label_smoothing >= 0.0 && loss.label_smoothing <= 1.0)) {
    return OptionOutOfRange("label_smoothing", loss.label_smoothing, "[0, 1]");
  }
  return CheckFactors("positive_weights", loss.positive_weights);
}

RowSums ComputeRows(const LossJob<SigmoidCrossEntropy>& job, int64_t first,
                    int64_t last) {
  return HWY_DYNAMIC_DISPATCH(SigmoidCrossEntropyRows)(job, first, last);
}

}  // namespace lossd::compute
#endif  // HWY_ONCE
