// exp(x) three times: fast, careful and exact. Included once per instruction
// set.
//
// All write x = n ln2 / 8 + r, |r| <= ln2 / 16, and exp(x) = 2^(n / 8) exp(r),
// with 2^(j / 8) from a table; the fast one takes sixteenths. Every step is one
// IEEE operation in a fixed order, so all targets give the same bits.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_EXP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_EXP_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_EXP_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_EXP_INL_H_
#endif

#include <bit>
#include <cstdint>

#include "hwy/highway.h"
#include "server/compute/exact/double_double-inl.h"
#include "server/compute/exact/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// 2^(j / 8) as a pair.
HWY_ALIGN inline constexpr double kPowers[8] = {
    0x1.0000000000000p+0, 0x1.172b83c7d517bp+0, 0x1.306fe0a31b715p+0,
    0x1.4bfdad5362a27p+0, 0x1.6a09e667f3bcdp+0, 0x1.8ace5422aa0dbp+0,
    0x1.ae89f995ad3adp+0, 0x1.d5818dcfba487p+0};
HWY_ALIGN inline constexpr double kPowersLow[8] = {0x0.0p+0,
                                                   -0x1.19041b9d78a76p-55,
                                                   0x1.6f46ad23182e4p-55,
                                                   0x1.d4397afec42e2p-56,
                                                   -0x1.bdd3413b26456p-54,
                                                   0x1.6e9f156864b27p-54,
                                                   0x1.7a1cd345dcc81p-54,
                                                   0x1.2ed02d75b3707p-55};

// 2^(j / 16) with j taken off the exponent's lowest bits: adding n << 48 to an
// entry's bits then scales it by 2^(n / 16 - j / 16) without clearing n's low
// bits first.
HWY_ALIGN inline constexpr double kShiftedPowers[16] = {
    std::bit_cast<double>(uint64_t{0x3ff0000000000000}),
    std::bit_cast<double>(uint64_t{0x3fefb5586cf9890f}),
    std::bit_cast<double>(uint64_t{0x3fef72b83c7d517b}),
    std::bit_cast<double>(uint64_t{0x3fef387a6e756238}),
    std::bit_cast<double>(uint64_t{0x3fef06fe0a31b715}),
    std::bit_cast<double>(uint64_t{0x3feedea64c123422}),
    std::bit_cast<double>(uint64_t{0x3feebfdad5362a27}),
    std::bit_cast<double>(uint64_t{0x3feeab07dd485429}),
    std::bit_cast<double>(uint64_t{0x3feea09e667f3bcd}),
    std::bit_cast<double>(uint64_t{0x3feea11473eb0187}),
    std::bit_cast<double>(uint64_t{0x3feeace5422aa0db}),
    std::bit_cast<double>(uint64_t{0x3feec49182a3f090}),
    std::bit_cast<double>(uint64_t{0x3feee89f995ad3ad}),
    std::bit_cast<double>(uint64_t{0x3fef199bdd85529c}),
    std::bit_cast<double>(uint64_t{0x3fef5818dcfba487}),
    std::bit_cast<double>(uint64_t{0x3fefa4afa2a490da})};

inline constexpr double kEightOverLn2 = 0x1.71547652b82fep+3;
inline constexpr double kLn2Over8 = 0x1.62e42fefa39efp-4;
inline constexpr double kLn2Over8Low = 0x1.abc9e3b39803fp-59;
// Adding it rounds to an integer and leaves that in the low bits.
inline constexpr double kToInteger = 0x1.8p52;

// Below it the fast exponential is 0.
inline constexpr double kFastLow = -708.0;

// exp of each vector, for x <= 700; 0 for x < kFastLow; NaN for NaN. Garbage
// above, and below kFastLow unless kMasks. With steps of ln2 / 16: the table
// costs no more than one of 8 entries and the polynomial is 2^7 times as good.
// All vectors go through each step together: their chains of operations hide
// each other's latency.
// Accuracy: relative error under (2.3 + 0.31 |x|) 2^-53: the table and the last
// step, 2^-53 each; the polynomial, 2^-56.2; r and u, 2^-57; the part of ln2
// left out, |x| 2^-54.7.
template <bool kMasks, int64_t kCount>
HWY_INLINE void FastExps(VecD (&x)[kCount]) {
  constexpr double kQ[] = {0x1.fffffffffffb9p-2, 0x1.555555548f890p-3,
                           0x1.55555558fc9cfp-5, 0x1.11123aae79304p-7,
                           0x1.6c14c6f159253p-10};
  constexpr double kSixteenOverLn2 = 2.0 * kEightOverLn2;
  constexpr double kLn2Over16 = 0.5 * kLn2Over8;
  const Doubles d;
  const Bits di;
  const VecD to_integer = hn::Set(d, kToInteger);
  VecD shifted[kCount], r[kCount], power[kCount], u[kCount];
  for (int64_t v = 0; v < kCount; ++v) {
    shifted[v] = FusedMulAdd(x[v], hn::Set(d, kSixteenOverLn2), to_integer);
  }
  for (int64_t v = 0; v < kCount; ++v) {
    const VecD n = hn::Sub(shifted[v], to_integer);
    r[v] = FusedMulAdd(n, hn::Set(d, -kLn2Over16), x[v]);
  }
  for (int64_t v = 0; v < kCount; ++v) {
    const auto bits = hn::BitCast(di, shifted[v]);
    power[v] =
        hn::BitCast(d, hn::Add(hn::BitCast(di, LookUp16(kShiftedPowers, bits)),
                               hn::ShiftLeft<48>(bits)));
  }
  for (int64_t v = 0; v < kCount; ++v) {
    // By Estrin's scheme, whose chain is shorter than Horner's.
    const VecD r2 = hn::Mul(r[v], r[v]);
    const VecD low = FusedMulAdd(r[v], hn::Set(d, kQ[1]), hn::Set(d, kQ[0]));
    const VecD high =
        FusedMulAdd(r2, hn::Set(d, kQ[4]),
                    FusedMulAdd(r[v], hn::Set(d, kQ[3]), hn::Set(d, kQ[2])));
    u[v] = FusedMulAdd(r2, FusedMulAdd(r2, high, low), r[v]);
  }
  for (int64_t v = 0; v < kCount; ++v) {
    if constexpr (kMasks) {
      x[v] = FusedMulAddSelf(power[v], u[v], x[v], hn::Set(d, kFastLow));
    } else {
      x[v] = FusedMulAdd(power[v], u[v], power[v]);
    }
  }
}

// The same for one vector, masked.
HWY_INLINE VecD FastExp(VecD x) {
  VecD e[1] = {x};
  FastExps<true>(e);
  return e[0];
}

// What the careful exponentials are multiplied by, so that none is subnormal.
inline constexpr int kCarefulScaleBits = 512;
// Below it the careful exponential is 0: under 2^-1022, whatever it is divided
// by.
inline constexpr double kCarefulLow = -1050.0;

// 2^512 exp(x + x_low) for x <= 0, |x_low| <= 2 ulp(x), as a pair; 0 for
// x < kCarefulLow, -inf included, whatever x_low is then.
// Accuracy: relative error under 2^-61: the polynomial's 2^-65, and the
// roundings of its terms, which are below 2^-10.
HWY_INLINE VecPair CarefulExp(VecD x, VecD x_low) {
  constexpr double kQ[] = {0x1.0000000000000p-1,  0x1.555555555559dp-3,
                           0x1.5555555555572p-5,  0x1.1111110c65418p-7,
                           0x1.6c16c1685a1c8p-10, 0x1.a01eddd492b8ep-13,
                           0x1.a01de4fc5f772p-16};
  const Doubles d;
  const Bits di;
  const VecD to_integer = hn::Set(d, kToInteger);
  const VecD shifted = FusedMulAdd(x, hn::Set(d, kEightOverLn2), to_integer);
  const VecD n = hn::Sub(shifted, to_integer);
  // Exact: x and n * kLn2Over8 are multiples of 2^-57 and r is below 2^-4.
  const VecD r = FusedMulAdd(n, hn::Set(d, -kLn2Over8), x);
  const VecD r_low = FusedMulAdd(n, hn::Set(d, -kLn2Over8Low), x_low);
  // r_low may be 2^-42: it is multiplied by all of exp(r), not by 1 + r.
  const VecD curve = hn::Mul(hn::Mul(r, r), Polynomial(r, kQ));
  const VecD small =
      hn::Add(curve, FusedMulAdd(r_low, hn::Add(r, curve), r_low));
  const VecPair u = FastTwoSum(r, small);  // exp(r + r_low) - 1

  const auto bits = hn::BitCast(di, shifted);
  const VecD power = LookUp8(kPowers, bits);
  const VecD power_low = LookUp8(kPowersLow, bits);
  const VecD product = hn::Mul(power, u.hi);
  const VecD product_low =
      hn::Sub(FusedMulAdd(power, u.lo, FusedMulAdd(power_low, u.hi, power_low)),
              FusedMulAdd(hn::Neg(power), u.hi, product));
  const VecPair sum = FastTwoSum(power, product);
  const VecPair e = FastTwoSum(sum.hi, hn::Add(sum.lo, product_low));

  const auto exponent = hn::ShiftRight<3>(
      hn::Sub(bits, hn::BitCast(di, to_integer)));  // floor(n / 8)
  const VecD scale =
      hn::BitCast(d, hn::ShiftLeft<52>(hn::Add(
                         exponent, hn::Set(di, 1023 + kCarefulScaleBits))));
  const auto too_low = hn::Lt(x, hn::Set(d, kCarefulLow));
  return {hn::IfThenZeroElse(too_low, hn::Mul(e.hi, scale)),
          hn::IfThenZeroElse(too_low, hn::Mul(e.lo, scale))};
}

// 1 / k!, as pairs, then as doubles.
inline constexpr Pair kInverseFactorials[8] = {
    {0x1.0000000000000p+0, 0.0},
    {0x1.0000000000000p+0, 0.0},
    {0x1.0000000000000p-1, 0.0},
    {0x1.5555555555555p-3, 0x1.5555555555555p-57},
    {0x1.5555555555555p-5, 0x1.5555555555555p-59},
    {0x1.1111111111111p-7, 0x1.1111111111111p-63},
    {0x1.6c16c16c16c17p-10, -0x1.f49f49f49f49fp-65},
    {0x1.a01a01a01a01ap-13, 0x1.a01a01a01a01ap-73}};
inline constexpr double kHigherInverseFactorials[8] = {
    0x1.a01a01a01a01ap-16, 0x1.71de3a556c734p-19, 0x1.27e4fb7789f5cp-22,
    0x1.ae64567f544e4p-26, 0x1.1eed8eff8d898p-29, 0x1.6124613a86d09p-33,
    0x1.93974a8c07c9dp-37, 0x1.ae7f3e733b81fp-41};

// exp(x) for |x| <= 700, by Taylor's series up to r^15 / 15!.
// Accuracy: relative error under 2^-97: that of x itself where it is inexact.
HWY_INLINE Pair ExactExp(Pair x) {
  // ln2 / 8 in parts; n times either of the first two is exact.
  constexpr double kParts[3] = {0x1.62e42fefa2000p-4, 0x1.9ef35793c6000p-44,
                                0x1.673007e5ed5e8p-84};
  const double shifted = std::fma(x.hi, kEightOverLn2, kToInteger);
  const double n = shifted - kToInteger;
  Pair r = TwoSum(x.hi - n * kParts[0], -(n * kParts[1]));
  r = r + Pair{x.lo, 0.0} + Pair{-(n * kParts[2]), 0.0};

  double tail = kHigherInverseFactorials[7];
  for (int i = 7; i-- > 0;) {
    tail = std::fma(tail, r.hi, kHigherInverseFactorials[i]);
  }
  Pair sum = Pair{tail, 0.0};
  for (int i = 8; i-- > 0;) sum = sum * r + kInverseFactorials[i];

  const auto index = static_cast<int64_t>(n);
  const int64_t j = index & 7;
  const double scale =
      std::bit_cast<double>(static_cast<uint64_t>((index >> 3) + 1023) << 52);
  return Scaled(sum * Pair{kPowers[j], kPowersLow[j]}, scale);
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
