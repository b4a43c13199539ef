// exp(x) as accurate as ExactExp, on vectors. Included once per instruction
// set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_VECTOR_EXP_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_VECTOR_EXP_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_VECTOR_EXP_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_VECTOR_EXP_INL_H_
#endif

#include "hwy/highway.h"
#include "server/compute/exact/exp-inl.h"
#include "server/compute/exact/vector_pair-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// x - n ln2 / 8 for an integer n that leaves at most ln2 / 16. What is lost is
// below 2^-95: that of the low parts' sum, which are up to 2^-42.
HWY_INLINE VecPair WithoutEighths(VecPair x, VecD n) {
  constexpr double kParts[3] = {0x1.62e42fefa2000p-4, 0x1.9ef35793c6000p-44,
                                0x1.673007e5ed5e8p-84};
  const Doubles d;
  // Exact: as in CarefulExp.
  const VecD high = FusedMulAdd(n, hn::Set(d, -kParts[0]), x.hi);
  const VecPair middle = TwoProduct(n, hn::Set(d, -kParts[1]));
  const VecPair r = TwoSum(high, middle.hi);
  const VecD low = FusedMulAdd(n, hn::Set(d, -kParts[2]), middle.lo);
  return TwoSum(r.hi, hn::Add(r.lo, hn::Add(x.lo, low)));
}

// 2^512 exp(x) for x <= 0, |x.lo| <= 2 ulp(x.hi); exactly 2^512 for 0; 0 for
// x.hi < kCarefulLow, -inf included, whatever x.lo is then.
// Accuracy: relative error under 2^-94.
HWY_INLINE VecPair ExactExp(VecPair x) {
  const Doubles d;
  const Bits di;
  const VecD to_integer = hn::Set(d, kToInteger);
  const VecD shifted = FusedMulAdd(x.hi, hn::Set(d, kEightOverLn2), to_integer);
  const VecPair r = WithoutEighths(x, hn::Sub(shifted, to_integer));

  VecPair sum = {Polynomial(r.hi, kHigherInverseFactorials), hn::Zero(d)};
  for (int i = 8; i-- > 0;) {
    sum = Add(Broadcast(kInverseFactorials[i]), Mul(sum, r));
  }
  const auto bits = hn::BitCast(di, shifted);
  const VecPair e =
      Mul(sum, {LookUp8(kPowers, bits), LookUp8(kPowersLow, bits)});
  const auto exponent = hn::ShiftRight<3>(
      hn::Sub(bits, hn::BitCast(di, to_integer)));  // floor(n / 8)
  const VecD scale =
      hn::BitCast(d, hn::ShiftLeft<52>(hn::Add(
                         exponent, hn::Set(di, 1023 + kCarefulScaleBits))));
  const auto too_low = hn::Lt(x.hi, hn::Set(d, kCarefulLow));
  return {hn::IfThenZeroElse(too_low, hn::Mul(e.hi, scale)),
          hn::IfThenZeroElse(too_low, hn::Mul(e.lo, scale))};
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
