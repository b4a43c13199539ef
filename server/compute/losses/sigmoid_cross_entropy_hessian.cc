#include <vector>

#include "server/compute/losses/sigmoid_cross_entropy.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE \
  "server/compute/losses/sigmoid_cross_entropy_hessian.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/exact/exp-inl.h"
#include "server/compute/losses/hessian_row-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {
namespace {

// P_i + N_i, neither of them negative, for a vector of classes.
class WeightsOfBoth {
 public:
  explicit WeightsOfBoth(const SigmoidCrossEntropy& loss)
      : weights_(loss.positive_weights.begin(), loss.positive_weights.end()),
        kept_(TwoSum(1.0, -loss.label_smoothing)),
        half_(0.5 * loss.label_smoothing) {
    if (!weights_.empty()) weights_.resize(weights_.size() + kChunk);
  }

  HWY_INLINE VecPair At(VecD t, int64_t i) const {
    const Doubles d;
    const VecPair kept = Broadcast(kept_), half = PairOf(half_);
    const VecPair rest = TwoSum(hn::Set(d, 1.0), hn::Neg(t));
    const VecPair negative = Add(Mul(kept, rest), half);
    VecPair positive = Add(Mul(kept, {t, hn::Zero(d)}), half);
    if (!weights_.empty()) {
      positive =
          Mul(positive, {hn::LoadU(d, weights_.data() + i), hn::Zero(d)});
    }
    return Add(positive, negative);
  }

 private:
  std::vector<double> weights_;  // and a chunk of padding; empty: 1
  Pair kept_;                    // 1 - smoothing
  double half_;                  // smoothing / 2
};

// sigma(z) sigma(-z) = e / (1 + e)^2, e = exp(-|z|): 0 for -inf.
void MultiplyRow(const WeightsOfBoth& weights, const HessianRow& row) {
  MultiplyDiagonal(row, kCarefulScaleBits, [&](int64_t i) HWY_ATTR {
    const Doubles d;
    const VecD size = hn::Abs(hn::LoadU(d, row.logits + i));
    const VecPair scaled_e = CarefulExp(hn::Neg(size), hn::Zero(d));
    const VecPair one_e = Add(PairOf(1.0), Scaled(scaled_e, 0x1p-512));
    const VecPair curvature = Div(Div(scaled_e, one_e), one_e);
    return Mul(curvature, weights.At(hn::LoadU(d, row.targets + i), i));
  });
}

}  // namespace

RowSums SigmoidCrossEntropyProducts(const HessianJob<SigmoidCrossEntropy>& job,
                                    int64_t first, int64_t last) {
  const WeightsOfBoth weights(*job.rows.loss);
  return MultiplyEachRow(job, first, last, [&](const HessianRow& row) {
    MultiplyRow(weights, row);
  });
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd::compute {

HWY_EXPORT(SigmoidCrossEntropyProducts);

RowSums MultiplyRows(const HessianJob<SigmoidCrossEntropy>& job, int64_t first,
                     int64_t last) {
  return HWY_DYNAMIC_DISPATCH(SigmoidCrossEntropyProducts)(job, first, last);
}

}  // namespace lossd::compute
#endif  // HWY_ONCE
