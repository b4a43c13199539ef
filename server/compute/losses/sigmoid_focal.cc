#include "server/compute/losses/sigmoid_focal.h"

#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/compute/losses/sigmoid_focal.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/batch_checks.h"
#include "server/compute/exact/exp-inl.h"
#include "server/compute/exact/vector_log-inl.h"
#include "server/compute/exact/vector_pair-inl.h"
#include "server/compute/losses/elementwise-inl.h"
#include "server/compute/losses/sigmoid_focal_scalar-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {
namespace {

// Powers that are multiplications, and the one that is not.
enum class Power { kZero, kOne, kTwo, kAny };

// Names and formula: sigmoid_focal_scalar-inl.h.
template <Power kPower>
class SigmoidFocalFormula {
 public:
  static constexpr int kSlopeScaleBits = kCarefulScaleBits;
  explicit SigmoidFocalFormula(const SigmoidFocal& loss)
      : gamma_(loss.gamma), balance_(loss) {}

  HWY_INLINE Element At(VecD z, VecD t, int64_t) const {
    // A logarithm in vectors is known to 2^-60, of which gamma makes more.
    if constexpr (kPower == Power::kAny) {
      if (gamma_ > kMaxVectorGamma) return OneByOne(z, t);
    }
    const Doubles d;
    const VecD zero = hn::Zero(d);
    const VecPair rest = TwoSum(hn::Set(d, 1.0), hn::Neg(t));
    const VecPair given = {t, zero};
    const auto above = hn::Ge(z, zero);
    const VecPair a = Select(above, rest, given);
    const VecPair b = Select(above, given, rest);
    const VecPair size = {hn::Abs(z), zero};
    const VecPair scaled_e = CarefulExp(hn::Neg(size.hi), zero);
    const VecPair e = Scaled(scaled_e, kDown);
    const VecPair one_e = Add(PairOf(1.0), e);
    const VecPair scaled_a = Scaled(a, kUp), be = Mul(b, scaled_e);
    VecPair wrong = Add(scaled_a, be);  // times 2^512
    // Where it is 0, so is all else.
    wrong.hi =
        hn::IfThenElse(hn::Eq(wrong.hi, zero), hn::Set(d, 1.0), wrong.hi);
    const VecPair entropy = Add(Log1pOfUnit(e), Mul(a, size));
    VecPair part = Add(scaled_a, Neg(be));
    VecPair more = {zero, zero};
    if constexpr (kPower != Power::kZero) {
      // In this order: where the entropy may be huge, the rest is 0.
      more = Mul(Mul(Mul(PairOf(gamma_), Add(a, Neg(b))),
                     Scaled(Div(scaled_e, wrong), kUp)),
                 entropy);
      part = Add(part, more);
    }
    // The first two are known to 2^-60, the other to 2^-56.
    const auto doubt =
        hn::Lt(hn::Abs(part.hi),
               FusedMulAdd(wrong.hi, hn::Set(d, 0x1p-4),
                           hn::Mul(hn::Abs(more.hi), hn::Set(d, 0.5))));
    const VecPair root = Root(wrong, one_e);
    const VecPair weight = Weight(t, rest);
    const VecPair slope = Div(Mul(weight, TimesPower(root, part)), one_e);
    return {Mul(weight, TimesPower(root, entropy)),
            Select(above, slope, Neg(slope)), doubt};
  }

  // In float64; without what only counts where results are 0 in any narrower
  // type, whatever the factors.
  HWY_INLINE NarrowElement NarrowAt(VecD z, VecD t, int64_t) const {
    const Doubles d;
    const VecD zero = hn::Zero(d), one = hn::Set(d, 1.0);
    const VecD rest = hn::Sub(one, t);
    const auto above = hn::Ge(z, zero);
    const VecD a = hn::IfThenElse(above, rest, t);
    const VecD b = hn::IfThenElse(above, t, rest);
    const VecD size = hn::Abs(z);
    const VecD e = FastExp(hn::Neg(size));
    const Softplus softplus = SoftplusOfUnit(e);
    const VecD inverse = softplus.inverse;
    const VecD entropy = FusedMulAdd(a, size, softplus.log);
    const VecD be = hn::Mul(b, e);
    const VecD wrong = hn::Add(a, be);
    VecD part = hn::Sub(a, be), parts = wrong, power = one;
    if constexpr (kPower == Power::kOne || kPower == Power::kTwo) {
      // As m^gamma / W is m^(gamma-1) / (1 + e), there is no division by W.
      constexpr double kGamma = kPower == Power::kOne ? 1.0 : 2.0;
      const VecD m = hn::Mul(wrong, inverse);
      const VecD steep = hn::Mul(hn::Mul(e, inverse), entropy);
      const VecD more = hn::Mul(
          steep,
          FusedMulAdd(a, hn::Set(d, kGamma), hn::Mul(b, hn::Set(d, -kGamma))));
      parts = FusedMulAdd(m, wrong, hn::Abs(more));
      part = FusedMulAdd(m, part, more);
      power = m;
      if constexpr (kPower == Power::kTwo) {
        part = hn::Mul(m, part);
        parts = hn::Mul(m, parts);
        power = hn::Mul(m, m);
      }
    } else if constexpr (kPower == Power::kAny) {
      const VecD over_wrong =
          hn::Div(one, hn::Add(wrong, hn::Set(d, 0x1p-1000)));
      const VecD odds = hn::Mul(FusedMulAdd(a, e, b), over_wrong);
      power = FastExp(hn::Mul(hn::Set(d, -gamma_), FastLog1p(odds)));
      const VecD more =
          hn::Mul(hn::Mul(hn::Mul(hn::Set(d, gamma_), hn::Sub(a, b)), entropy),
                  hn::Mul(e, over_wrong));
      parts = hn::Mul(power, hn::Add(wrong, hn::Abs(more)));
      part = hn::Mul(power, hn::Add(part, more));
    }
    const auto doubt =
        hn::Lt(hn::Abs(part), hn::Mul(parts, hn::Set(d, 0x1p-17)));
    VecD term = hn::Mul(power, entropy);
    VecD slope = hn::Mul(part, inverse);
    if (balance_.is_set) {
      const VecD weight =
          FusedMulAdd(hn::Set(d, balance_.positive), t,
                      hn::Mul(hn::Set(d, balance_.negative.hi), rest));
      term = hn::Mul(term, weight);
      slope = hn::Mul(slope, weight);
    }
    return {term, hn::IfThenElse(above, slope, hn::Neg(slope)), doubt};
  }

  HWY_NOINLINE Pair Slope(double z, double t, int64_t) const {
    return Scaled(FocalElementOf(z, t, gamma_, balance_).slope, kDown);
  }

  // e ln(1 + 1/e) goes to 0, and with it all but a t^gamma (sigma - t).
  ScalarElement AtMinusInfinity(double t, int64_t) const {
    const Pair weight = balance_.Of(t), target = {t, 0.0};
    if (t == 0.0 || weight.hi == 0.0) return {0.0, {}};
    const Pair minus_log = LogOfOnePlusRatio(TwoSum(1.0, -t), target);
    const Pair root = PowerOf(-(Pair{0.5 * gamma_, 0.0} * minus_log));
    return {std::numeric_limits<double>::infinity(),
            -(weight * (root * (root * target)))};
  }

 private:
  static constexpr double kUp = 0x1p512, kDown = 0x1p-512;
  static constexpr double kMaxVectorGamma = 16.0;

  HWY_INLINE VecPair Weight(VecD t, VecPair rest) const {
    if (!balance_.is_set) return PairOf(1.0);
    const Doubles d;
    return Add(Mul(PairOf(balance_.positive), VecPair{t, hn::Zero(d)}),
               Mul(Broadcast(balance_.negative), rest));
  }

  // What TimesPower takes: m, or m^(gamma/2). `wrong` times 2^512.
  HWY_INLINE VecPair Root(VecPair wrong, VecPair one_e) const {
    if constexpr (kPower != Power::kAny) {
      return Scaled(Div(wrong, one_e), kDown);
    }
    const Doubles d;
    const VecD zero = hn::Zero(d);
    // One step of Newton's method from y, near -ln m: y - 1 + exp(-y) / m.
    const VecPair inverse = Div(one_e, wrong);
    const VecD y = hn::Max(hn::Add(FastLog(inverse.hi, zero),
                                   hn::Set(d, kCarefulScaleBits * kLn2.hi)),
                           zero);
    const VecPair near_one = Mul(inverse, CarefulExp(hn::Neg(y), zero));
    const VecPair past = Add(near_one, PairOf(-1.0));
    const VecPair high = TwoSum(y, past.hi);
    const VecPair minus_log = FastTwoSum(high.hi, hn::Add(high.lo, past.lo));
    const VecPair x = Mul(PairOf(-0.5 * gamma_), minus_log);
    return Scaled(CarefulExp(x.hi, x.lo), kDown);
  }

  // m^gamma x, in halves: m^gamma alone may underflow.
  static HWY_INLINE VecPair TimesPower(VecPair root, VecPair x) {
    if constexpr (kPower == Power::kZero) return x;
    if constexpr (kPower == Power::kOne) return Mul(root, x);
    return Mul(root, Mul(root, x));
  }

  HWY_NOINLINE Element OneByOne(VecD z, VecD t) const {
    const Doubles d;
    HWY_ALIGN double zs[kLanes], ts[kLanes];
    HWY_ALIGN double terms[2][kLanes], slopes[2][kLanes];
    hn::Store(z, d, zs);
    hn::Store(t, d, ts);
    for (int64_t i = 0; i < kLanes; ++i) {
      const FocalElement element =
          FocalElementOf(zs[i], ts[i], gamma_, balance_);
      terms[0][i] = element.term.hi;
      terms[1][i] = element.term.lo;
      slopes[0][i] = element.slope.hi;
      slopes[1][i] = element.slope.lo;
    }
    return {{hn::Load(d, terms[0]), hn::Load(d, terms[1])},
            {hn::Load(d, slopes[0]), hn::Load(d, slopes[1])},
            hn::Lt(z, z)};
  }

  double gamma_;
  Balance balance_;
};

template <Power kPower>
RowSums Rows(const LossJob<SigmoidFocal>& job, int64_t first, int64_t last) {
  return ComputeElementwiseRows(job, SigmoidFocalFormula<kPower>(*job.loss),
                                first, last);
}

}  // namespace

RowSums SigmoidFocalRows(const LossJob<SigmoidFocal>& job, int64_t first,
                         int64_t last) {
  const double gamma = job.loss->gamma;
  if (gamma == 0.0) return Rows<Power::kZero>(job, first, last);
  if (gamma == 1.0) return Rows<Power::kOne>(job, first, last);
  if (gamma == 2.0) return Rows<Power::kTwo>(job, first, last);
  return Rows<Power::kAny>(job, first, last);
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd::compute {

HWY_EXPORT(SigmoidFocalRows);

LossRules RulesOf(const SigmoidFocal&) {
  return {.takes_targets = true,
          .min_target = 0.0,
          .max_target = 1.0,
          .target_range = "[0, 1]"};
}

absl::Status CheckOptions(const SigmoidFocal& loss, const Batch&) {
  if (!IsFactor(loss.gamma)) {
    return OptionOutOfRange("gamma", loss.gamma, kFactorRange);
  }
  if (loss.alpha && !(*loss.alpha >= 0.0 && *loss.alpha <= 1.0)) {
    return OptionOutOfRange("alpha", *loss.alpha, "[0, 1]");
  }
  return absl::OkStatus();
}

RowSums ComputeRows(const LossJob<SigmoidFocal>& job, int64_t first,
                    int64_t last) {
  return HWY_DYNAMIC_DISPATCH(SigmoidFocalRows)(job, first, last);
}

}  // namespace lossd::compute
#endif  // HWY_ONCE
