// Logits capped by the hyperbolic tangent, a_i = scale cap tanh(z_i / cap), in
// pairs. Included once per instruction set.
//
// With x = z / cap, E = exp(-2 |x|) and G(y) = 1 - exp(-y), nothing cancels in
//
//   tanh(x) = sign(x) G(2 |x|) / (1 + E)
//   1 - tanh^2(x) = 4 E / (1 + E)^2
//   tanh(x_max) - tanh(x) = 2 F G(2 (x_max - x)) / ((1 + E_max) (1 + E))
//
// where F is the larger of E_max and E for two x of one sign, and 1 for two of
// different signs.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_SOFTCAP_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_SOFTCAP_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_SOFTCAP_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_SOFTCAP_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <limits>

#include "hwy/highway.h"
#include "server/compute/exact/chunks-inl.h"
#include "server/compute/exact/double_double-inl.h"
#include "server/compute/exact/exp-inl.h"
#include "server/compute/exact/row_scratch.h"
#include "server/compute/exact/vector_pair-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// exp(x) = 2^exponent power (1 + u).
struct VecExpParts {
  VecPair u;
  VecPair power;
  hn::Vec<Bits> exponent;
};

// ExactExp on vectors, not yet put together.
// Accuracy: a relative error of u and power under 2^-97.
// REQUIRES: -1050 <= x.hi <= 0.
HWY_INLINE VecExpParts SplitExp(VecPair x) {
  constexpr double kParts[3] = {0x1.62e42fefa2000p-4, 0x1.9ef35793c6000p-44,
                                0x1.673007e5ed5e8p-84};
  const Doubles d;
  const Bits di;
  const VecD to_integer = hn::Set(d, kToInteger);
  const VecD shifted = FusedMulAdd(x.hi, hn::Set(d, kEightOverLn2), to_integer);
  const VecD n = hn::Sub(shifted, to_integer);
  VecPair r = TwoSum(FusedMulAdd(n, hn::Set(d, -kParts[0]), x.hi),
                     hn::Mul(n, hn::Set(d, -kParts[1])));
  r = Add(r, VecPair{x.lo, hn::Zero(d)});
  r = Add(r, VecPair{hn::Mul(n, hn::Set(d, -kParts[2])), hn::Zero(d)});

  VecPair sum = {Polynomial(r.hi, kHigherInverseFactorials), hn::Zero(d)};
  for (int i = 7; i >= 1; --i) {
    sum = Add(Mul(sum, r), Broadcast(kInverseFactorials[i]));
  }
  const auto bits = hn::BitCast(di, shifted);
  return {Mul(sum, r),
          {LookUp8(kPowers, bits), LookUp8(kPowersLow, bits)},
          hn::ShiftRight<3>(hn::Sub(bits, hn::BitCast(di, to_integer)))};
}

// 2^(exponent + more), which must be normal.
HWY_INLINE VecD PowerOfTwo(hn::Vec<Bits> exponent, int more) {
  return hn::BitCast(Doubles(), hn::ShiftLeft<52>(hn::Add(
                                    exponent, hn::Set(Bits(), 1023 + more))));
}

// Past it, tanh is 1 and its slope 0 to 2^-2800.
inline constexpr double kCapReach = 1000.0;
// What slopes, and the E they come from, are multiplied by.
inline constexpr int kSlopeBits = 512;
inline constexpr double kUnscaleSlope = 0x1p-512;

// 2^kSlopeBits exp(-2 |x|); 0 where that is below 2^-1002. Accuracy: a relative
// error under 2^-88, 2^-95 |x| for large x; more where it is below 2^-900.
HWY_INLINE VecPair ScaledTail(VecPair x) {
  const Doubles d;
  const auto negative = hn::Lt(x.hi, hn::Zero(d));
  const VecPair size = Select(negative, x, Neg(x));  // -|x|
  const VecPair y = Scaled(size, 2.0);
  const auto in_reach = hn::Ge(y.hi, hn::Set(d, kCarefulLow));
  const VecExpParts e = SplitExp(ZeroUnless(in_reach, y));
  const VecPair value = Add(e.power, Mul(e.power, e.u));
  const VecD scale = PowerOfTwo(e.exponent, kSlopeBits);
  return ZeroUnless(in_reach,
                    {hn::Mul(value.hi, scale), hn::Mul(value.lo, scale)});
}

// 1 - exp(-2 y) for y >= 0. Accuracy: a relative error under 2^-95.
HWY_INLINE VecPair OneLessExp(VecPair y) {
  const Doubles d;
  const VecPair x = Scaled(Neg(y), 2.0);
  // From here on it is 1.
  const auto in_reach = hn::Ge(x.hi, hn::Set(d, -200.0));
  const VecExpParts e = SplitExp(ZeroUnless(in_reach, x));
  const VecD scale = PowerOfTwo(e.exponent, 0);
  const VecPair power = {hn::Mul(e.power.hi, scale),
                         hn::Mul(e.power.lo, scale)};
  // Where the power is 1, u alone is left.
  const VecPair value = Add(Add(PairOf(1.0), Neg(power)), Neg(Mul(power, e.u)));
  return Select(in_reach, value, PairOf(1.0));
}

// z / cap, z held within kCapReach.
HWY_INLINE VecPair CapQuotient(VecD z, VecD reach, VecPair inverse_cap) {
  const VecD held = hn::Max(hn::Min(z, reach), hn::Neg(reach));
  return Mul(VecPair{held, hn::Zero(Doubles())}, inverse_cap);
}

HWY_INLINE Pair FirstLane(VecPair a) {
  return {hn::GetLane(a.hi), hn::GetLane(a.lo)};
}

// Fills the capped arrays of z[begin .. end).
HWY_NOINLINE inline void CapSpan(const double* z, int64_t begin, int64_t end,
                                 double max, double cap, Pair factor,
                                 double* const (&to)[4]) {
  const Doubles d;
  const VecD zero = hn::Zero(d);
  const VecD reach = hn::Set(d, kCapReach * cap);
  const VecD held_max =
      hn::Set(d, std::clamp(max, -kCapReach * cap, kCapReach * cap));
  const VecPair inverse = Broadcast(Pair{1.0, 0.0} / Pair{cap, 0.0});
  const VecPair factors = Broadcast(factor);
  const bool max_is_negative = max < 0.0;
  ForEachChunk(z, begin, end, [&](int64_t i, const double* p) HWY_ATTR {
    for (int64_t v = 0; v < kVectors; ++v) {
      const VecD logits = hn::LoadU(d, p + v * kLanes);
      const auto possible = hn::Gt(logits, hn::Neg(hn::Inf(d)));
      const VecD held = hn::Max(hn::Min(logits, reach), hn::Neg(reach));
      const VecPair tail = ScaledTail(CapQuotient(logits, reach, inverse));
      const VecPair e = Scaled(tail, kUnscaleSlope);
      const VecPair inverse_sum = Div(PairOf(1.0), Add(PairOf(1.0), e));
      VecPair below =
          Mul(OneLessExp(Mul(TwoSum(held_max, hn::Neg(held)), inverse)),
              Mul(factors, inverse_sum));
      if (!max_is_negative) {  // else F is E_max, in the factor
        const auto same_sign = hn::Ge(logits, zero);
        below = Select(same_sign, Mul(below, e), below);
      }
      const VecPair slope =
          Mul(Scaled(tail, 4.0), Mul(inverse_sum, inverse_sum));
      const int64_t at = i + v * kLanes;
      hn::StoreU(hn::IfThenElse(possible, below.hi, hn::Neg(hn::Inf(d))), d,
                 to[0] + at);
      hn::StoreU(hn::IfThenElseZero(possible, below.lo), d, to[1] + at);
      hn::StoreU(hn::IfThenElseZero(possible, slope.hi), d, to[2] + at);
      hn::StoreU(hn::IfThenElseZero(possible, slope.lo), d, to[3] + at);
    }
  });
}

// The relative errors of what CapLogits fills in: of `below`, 2^-1000 of the
// scaled cap beside it, and of slopes above 2^-900; of `max`, where the cap's
// quotient does not underflow.
inline constexpr double kCappedError = 0x1p-85;

// Caps a row of float64 logits, of which `max` is the largest, into the
// scratch.
HWY_INLINE CappedLogits CapLogits(const RowTask& task, double max, double cap,
                                  RowScratch& scratch) {
  const Doubles d;
  double* to[4];
  for (int k = 0; k < 4; ++k) {
    to[k] = RowScratch::Room(scratch.capped[k], task.classes + kChunk);
  }
  const Pair inverse = Pair{1.0, 0.0} / Pair{cap, 0.0};
  const VecPair x = CapQuotient(hn::Set(d, max), hn::Set(d, kCapReach * cap),
                                Broadcast(inverse));
  const Pair e = Scaled(FirstLane(ScaledTail(x)), kUnscaleSlope);
  const Pair top = TwoProduct(task.scale, cap);
  const Pair over_sum = top / (Pair{1.0, 0.0} + e);
  const VecPair size = Select(hn::Lt(x.hi, hn::Zero(d)), Neg(x), x);
  const Pair max_size = over_sum * FirstLane(OneLessExp(size));
  Pair factor = Scaled(over_sum, -2.0);
  if (max < 0.0) factor = factor * e;
  ForEachSpan(task, [&](int64_t begin, int64_t end) HWY_ATTR {
    CapSpan(reinterpret_cast<const double*>(task.logits), begin, end, max, cap,
            factor, to);
  });
  const Pair capped_max = max < 0.0 ? -max_size : max_size;
  return {cap, capped_max.hi, capped_max.lo, to[0], to[1], to[2], to[3]};
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
