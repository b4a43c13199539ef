// One element of the sigmoid focal loss, in scalar pairs and, where its slope
// cancels, in as many bits as it takes. Included once per instruction set.
//
// The logit's side decides: with A the weight of the class it is against
// (1 - t above 0, t below), B = 1 - A, and e = exp(-|z|),
//
//   m = W / (1 + e), W = A + B e        1 - m = N / (1 + e), N = B + A e
//   c = ln(1 + e) + A |z|               term = a m^gamma c
//   slope = +-a m^gamma G / (1 + e)     G = A - B e + gamma (A - B) c e / W
//
// G is all that cancels, and only for targets that are neither 0 nor 1.
#if defined(LOSSD_SERVER_COMPUTE_LOSSES_SIGMOID_FOCAL_SCALAR_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_LOSSES_SIGMOID_FOCAL_SCALAR_INL_H_
#undef LOSSD_SERVER_COMPUTE_LOSSES_SIGMOID_FOCAL_SCALAR_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_LOSSES_SIGMOID_FOCAL_SCALAR_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "hwy/highway.h"
#include "server/compute/exact/big_float.h"
#include "server/compute/exact/double_double-inl.h"
#include "server/compute/exact/exp-inl.h"
#include "server/compute/exact/log-inl.h"
#include "server/compute/exact/power-inl.h"
#include "server/compute/loss.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// a, and what it is made of.
struct Balance {
  explicit Balance(const SigmoidFocal& loss)
      : is_set(loss.alpha.has_value()),
        positive(loss.alpha.value_or(1.0)),
        negative(is_set ? TwoSum(1.0, -positive) : Pair{1.0, 0.0}) {}

  Pair Of(double t) const {
    if (!is_set) return {1.0, 0.0};
    return Pair{positive, 0.0} * Pair{t, 0.0} + negative * TwoSum(1.0, -t);
  }

  bool is_set;
  double positive;  // alpha
  Pair negative;    // 1 - alpha
};

// G times 2^512, to 2^-110 of itself. REQUIRES: |z| < 1000.
inline HWY_NOINLINE Pair CancellingPartOfReals(double z, double t,
                                               double gamma) {
  const BigFloat rest = BigFloat(1.0) - BigFloat(t);
  const BigFloat a = z >= 0.0 ? rest : BigFloat(t);
  const BigFloat b = z >= 0.0 ? BigFloat(t) : rest;
  const BigFloat size(std::abs(z));
  if (z == 0.0 && a == b) return {};  // e = 1: both parts are 0
  // Elsewhere G is not 0: its second part has the logarithm of 1 + e, whose
  // independence of e nobody has proven and nothing contradicts.
  constexpr int64_t kMostBits = 1 << 14;
  BigFloat product, wrong, e;
  for (int64_t bits = 256; bits <= kMostBits; bits *= 2) {
    e = Exp(-size, bits);
    wrong = a + b * e;
    const BigFloat more =
        BigFloat(gamma) * (a - b) * e * (Log1p(e, bits) + a * size);
    const BigFloat square = a * a;
    product = square - b * b * e * e + more;
    int64_t largest = square.exponent();
    if (more.sign() != 0) largest = std::max(largest, more.exponent());
    if (product.sign() != 0 && product.exponent() > largest - bits + 120) break;
  }
  if (product.sign() == 0) return {};
  const BigFloat quotient =
      Quotient(product * BigFloat::PowerOfTwo(512), wrong, 160);
  const double high = quotient.ToDouble();
  return {high, (quotient - BigFloat(high)).ToDouble()};
}

struct FocalElement {
  Pair term;
  Pair slope;  // times 2^512
};

// REQUIRES: z is finite.
inline HWY_NOINLINE FocalElement FocalElementOf(double z, double t,
                                                double gamma,
                                                const Balance& balance) {
  constexpr double kUp = 0x1p512, kDown = 0x1p-512;
  const Pair one = {1.0, 0.0}, rest = TwoSum(1.0, -t);
  const bool above = z >= 0.0;
  const Pair a = above ? rest : Pair{t, 0.0};
  const Pair b = above ? Pair{t, 0.0} : rest;
  const Pair scaled_a = Scaled(a, kUp);
  const Pair size = {std::abs(z), 0.0};
  // Beyond, e is below 2^-1442, which nothing is left of.
  const bool is_near = size.hi < 1000.0;
  const Pair scaled_e = size.hi < 690.0 ? Scaled(ExactExp(-size), kUp)
                        : is_near ? ExactExp(Pair{512.0, 0.0} * kLn2 - size)
                                  : Pair();
  const Pair scaled_wrong = scaled_a + b * scaled_e;
  if (scaled_wrong.hi == 0.0) return {};
  const Pair e = Scaled(scaled_e, kDown);
  const Pair scaled_log =
      e.hi < 0x1p-112 ? scaled_e : Scaled(ExactLog1p(e), kUp);
  const Pair entropy = Scaled(scaled_log, kDown) + a * size;
  const Pair minus_log =
      LogOfOnePlusRatio(Scaled(b, kUp) + a * scaled_e, scaled_wrong);
  // Its square root: the power itself may underflow where the term does not.
  const Pair root = PowerOf(-(Pair{0.5 * gamma, 0.0} * minus_log));

  Pair part = scaled_a - b * scaled_e;
  if (is_near) {
    const Pair more = Pair{gamma, 0.0} * (a - b) *
                      (scaled_log + scaled_a * size) *
                      (scaled_e / scaled_wrong);
    part = part + more;
    // The parts are known to 2^-84.
    if (std::abs(part.hi) < (scaled_wrong.hi + std::abs(more.hi)) * 0x1p-24) {
      part = CancellingPartOfReals(z, t, gamma);
    }
  }
  const Pair weight = balance.Of(t);
  const Pair slope = weight * (root * (root * part)) / (one + e);
  return {weight * (root * (root * entropy)), above ? slope : -slope};
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
