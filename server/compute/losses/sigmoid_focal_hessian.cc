#include "server/compute/losses/sigmoid_focal.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/compute/losses/sigmoid_focal_hessian.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/losses/hessian_row-inl.h"
#include "server/compute/losses/sigmoid_focal_scalar-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {
namespace {

// The second derivative of one element, times 2^512. With the names of
// sigmoid_focal_scalar-inl.h it is the same on both of the logit's sides,
//
//   a m^gamma e / (1 + e)^2 (1 + gamma (A - B) K / W)
//   K = 2 (A - B e) - (1 - e) c + (gamma - 1) (A - B) c e / W
//
// Accuracy: 2^-80 of the terms that are added.
Pair CurvatureOf(double z, double t, double gamma_value,
                 const Balance& balance) {
  constexpr double kUp = 0x1p512, kDown = 0x1p-512;
  const Pair one = {1.0, 0.0}, gamma = {gamma_value, 0.0};
  const Pair rest = TwoSum(1.0, -t), size = {std::abs(z), 0.0};
  // Beyond, e is below 2^-1442, which nothing is left of.
  if (!(size.hi < 1000.0)) return {};
  const Pair a = z >= 0.0 ? rest : Pair{t, 0.0};
  const Pair b = z >= 0.0 ? Pair{t, 0.0} : rest;
  const Pair scaled_e = size.hi < 690.0
                            ? Scaled(ExactExp(-size), kUp)
                            : ExactExp(Pair{512.0, 0.0} * kLn2 - size);
  const Pair e = Scaled(scaled_e, kDown), scaled_a = Scaled(a, kUp);
  const Pair be = b * scaled_e;
  const Pair wrong = scaled_a + be;
  const Pair log = e.hi < 0x1p-112 ? scaled_e : Scaled(ExactLog1p(e), kUp);
  const Pair c = log + scaled_a * size;
  const Pair sides = a - b;
  const Pair k = Pair{2.0, 0.0} * (scaled_a - be) - (one - e) * c +
                 (gamma - one) * sides * (scaled_e / wrong) * c;
  const Pair bend = one + gamma * sides * (k / wrong);
  const Pair minus_log =
      LogOfOnePlusRatio(Scaled(b, kUp) + a * scaled_e, wrong);
  // Its square root: the power itself may underflow where the whole does not.
  const Pair root = PowerOf(-(Pair{0.5, 0.0} * gamma * minus_log));
  const Pair slope = scaled_e / (one + e) / (one + e);
  return balance.Of(t) * (root * (root * (slope * bend)));
}

// One by one: the powers and logarithms are scalar.
void MultiplyRow(const SigmoidFocal& loss, const HessianRow& row) {
  const Balance balance(loss);
  MultiplyDiagonal(row, 512, [&](int64_t i) HWY_ATTR {
    HWY_ALIGN double high[kLanes] = {};
    HWY_ALIGN double low[kLanes] = {};
    for (int64_t j = 0; j < std::min(row.classes - i, kLanes); ++j) {
      const Pair h = CurvatureOf(row.logits[i + j], row.targets[i + j],
                                 loss.gamma, balance);
      high[j] = h.hi;
      low[j] = h.lo;
    }
    return VecPair(hn::Load(Doubles(), high), hn::Load(Doubles(), low));
  });
}

}  // namespace

RowSums SigmoidFocalProducts(const HessianJob<SigmoidFocal>& job, int64_t first,
                             int64_t last) {
  return MultiplyEachRow(job, first, last, [&](const HessianRow& row) {
    MultiplyRow(*job.rows.loss, row);
  });
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd::compute {

HWY_EXPORT(SigmoidFocalProducts);

RowSums MultiplyRows(const HessianJob<SigmoidFocal>& job, int64_t first,
                     int64_t last) {
  return HWY_DYNAMIC_DISPATCH(SigmoidFocalProducts)(job, first, last);
}

}  // namespace lossd::compute
#endif  // HWY_ONCE
