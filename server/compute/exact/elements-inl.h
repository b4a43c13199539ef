// The elements of a gradient, or of probabilities, in float64 with bounds on
// their errors. Included once per instruction set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_ELEMENTS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_ELEMENTS_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_ELEMENTS_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_ELEMENTS_INL_H_
#endif

#include <cmath>

#include "hwy/highway.h"
#include "server/compute/exact/bounded-inl.h"
#include "server/compute/exact/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// Elements exps_i factor, to a relative error.
class ScaledExps {
 public:
  HWY_INLINE ScaledExps(const double* exps, double factor,
                        double relative_error)
      : exps_(exps),
        factor_(factor),
        error_factor_(std::abs(factor) * relative_error) {}

  HWY_INLINE VecD Value(int64_t i) const {
    return hn::Mul(hn::LoadU(Doubles(), exps_ + i),
                   hn::Set(Doubles(), factor_));
  }
  HWY_INLINE VecD Error(int64_t i, VecD least) const {
    return FusedMulAdd(hn::LoadU(Doubles(), exps_ + i),
                       hn::Set(Doubles(), error_factor_), least);
  }
  HWY_INLINE Approx At(int64_t i) const {
    return {exps_[i] * factor_, exps_[i] * error_factor_ + kUnderflow};
  }

 private:
  const double* exps_;
  double factor_;
  double error_factor_;
};

// Elements exps_i factor - targets_i scale.
class ScaledDifferences {
 public:
  HWY_INLINE ScaledDifferences(const double* exps, Approx factor,
                               double exp_error, const double* targets,
                               double scale, double target_error)
      : exps_(exps),
        targets_(targets),
        factor_(factor.value),
        minus_scale_(-scale),
        error_factor_(factor.size() * (exp_error + 0x1p-51) + factor.error),
        error_scale_(std::abs(scale) * (target_error + 0x1p-51)) {}

  HWY_INLINE VecD Value(int64_t i) const {
    const Doubles d;
    const VecD target =
        hn::Mul(hn::LoadU(d, targets_ + i), hn::Set(d, minus_scale_));
    return FusedMulAdd(hn::LoadU(d, exps_ + i), hn::Set(d, factor_), target);
  }
  HWY_INLINE VecD Error(int64_t i, VecD least) const {
    const Doubles d;
    return FusedMulAdd(hn::LoadU(d, exps_ + i), hn::Set(d, error_factor_),
                       FusedMulAdd(hn::LoadU(d, targets_ + i),
                                   hn::Set(d, error_scale_), least));
  }
  HWY_INLINE Approx At(int64_t i) const {
    return {std::fma(exps_[i], factor_, targets_[i] * minus_scale_),
            exps_[i] * error_factor_ + targets_[i] * error_scale_ + kUnderflow};
  }

 private:
  const double* exps_;
  const double* targets_;
  double factor_;
  double minus_scale_;
  double error_factor_;
  double error_scale_;
};

// The same where all targets are `target`.
class ScaledMinusConstant {
 public:
  HWY_INLINE ScaledMinusConstant(const double* exps, Approx factor,
                                 double exp_error, double target, double scale,
                                 double target_error)
      : exps_(exps),
        factor_(factor.value),
        minus_target_(-scale * target),
        error_factor_(factor.size() * (exp_error + 0x1p-51) + factor.error),
        error_(std::abs(scale) * target * (target_error + 0x1p-51)) {}

  HWY_INLINE VecD Value(int64_t i) const {
    const Doubles d;
    return FusedMulAdd(hn::LoadU(d, exps_ + i), hn::Set(d, factor_),
                       hn::Set(d, minus_target_));
  }
  HWY_INLINE VecD Error(int64_t i, VecD least) const {
    const Doubles d;
    return FusedMulAdd(hn::LoadU(d, exps_ + i), hn::Set(d, error_factor_),
                       hn::Add(hn::Set(d, error_), least));
  }
  HWY_INLINE Approx At(int64_t i) const {
    return {std::fma(exps_[i], factor_, minus_target_),
            exps_[i] * error_factor_ + error_ + kUnderflow};
  }

 private:
  const double* exps_;
  double factor_;
  double minus_target_;
  double error_factor_;
  double error_;
};

// Elements x_i - log_sum, x_i to a relative error; -inf where x_i is.
class LogShares {
 public:
  HWY_INLINE LogShares(const double* x, Approx log_sum, double x_error)
      : x_(x), log_sum_(log_sum), x_error_(x_error + 0x1p-51) {}

  HWY_INLINE VecD Value(int64_t i) const {
    const Doubles d;
    return hn::Sub(hn::LoadU(d, x_ + i), hn::Set(d, log_sum_.value));
  }
  HWY_INLINE VecD Error(int64_t i, VecD least) const {
    const Doubles d;
    const VecD fixed =
        hn::Add(hn::Set(d, log_sum_.error + log_sum_.size() * 0x1p-51), least);
    return FusedMulAdd(hn::Abs(hn::LoadU(d, x_ + i)), hn::Set(d, x_error_),
                       fixed);
  }
  HWY_INLINE Approx At(int64_t i) const {
    return {x_[i] - log_sum_.value, std::abs(x_[i]) * x_error_ +
                                        log_sum_.error +
                                        log_sum_.size() * 0x1p-51};
  }

 private:
  const double* x_;
  Approx log_sum_;
  double x_error_;
};

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
