// ln(x) of vectors, fast and careful. Included once per instruction set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_KL_LOG_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_KL_LOG_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_KL_LOG_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_KL_LOG_INL_H_
#endif

#include <bit>
#include <cstdint>

#include "hwy/highway.h"
#include "server/compute/exact/exp-inl.h"
#include "server/compute/exact/vector_math-inl.h"
#include "server/compute/exact/vector_pair-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

inline constexpr double kVectorLn2 = 0x1.62e42fefa39efp-1;
inline constexpr double kVectorLn2Low = 0x1.abc9e3b39803fp-56;

// x = 2^exponent (1 + fraction), sqrt(1/2) <= 1 + fraction < sqrt(2).
struct LogParts {
  VecD exponent;
  VecD fraction;
};

HWY_INLINE LogParts LogPartsOf(VecD x) {
  const Doubles d;
  const Bits di;
  const auto bits = hn::BitCast(di, x);
  const auto k = hn::ShiftRight<52>(
      hn::Sub(bits, hn::Set(di, std::bit_cast<int64_t>(0x1.6a09e667f3bcdp-1))));
  const VecD to_integer = hn::Set(d, kToInteger);
  const VecD shifted = hn::BitCast(d, hn::Add(k, hn::BitCast(di, to_integer)));
  const VecD mantissa = hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<52>(k)));
  return {hn::Sub(shifted, to_integer), hn::Sub(mantissa, hn::Set(d, 1.0))};
}

// FastLog (log-inl.h) of each lane, x a positive normal number.
// Accuracy: relative error under 2^-51.
HWY_INLINE VecD FastLogOf(VecD x) {
  constexpr double kP[] = {0x1.5555555555558p-1, 0x1.9999999995273p-2,
                           0x1.2492492dfd86cp-2, 0x1.c71c62d5e53e0p-3,
                           0x1.7462b91b8df65p-3, 0x1.39fdcceb4bb45p-3,
                           0x1.2b5f68a50d903p-3};
  const Doubles d;
  const LogParts parts = LogPartsOf(x);
  const VecD f = parts.fraction;
  const VecD s = hn::Div(f, hn::Add(hn::Set(d, 2.0), f));
  const VecD z = hn::Mul(s, s);
  const VecD z2 = hn::Mul(z, z);
  const VecD low =
      FusedMulAdd(FusedMulAdd(hn::Set(d, kP[3]), z, hn::Set(d, kP[2])), z2,
                  FusedMulAdd(hn::Set(d, kP[1]), z, hn::Set(d, kP[0])));
  const VecD high =
      FusedMulAdd(hn::Set(d, kP[6]), z2,
                  FusedMulAdd(hn::Set(d, kP[5]), z, hn::Set(d, kP[4])));
  const VecD p = FusedMulAdd(high, hn::Mul(z2, z2), low);
  const VecD half_square = hn::Mul(hn::Mul(hn::Set(d, 0.5), f), f);
  const VecD tail = hn::Mul(s, FusedMulAdd(z, p, half_square));
  const VecD low_log =
      FusedMulAdd(parts.exponent, hn::Set(d, kVectorLn2Low), tail);
  return FusedMulAdd(parts.exponent, hn::Set(d, kVectorLn2),
                     hn::Sub(f, hn::Sub(half_square, low_log)));
}

// The same as a pair: one step of Newton's method from FastLogOf for the
// mantissa.
// Accuracy: an error under 2^-60, the exponential's, and 2^-99 of the result.
HWY_INLINE VecPair CarefulLogOf(VecD x) {
  const Doubles d;
  const LogParts parts = LogPartsOf(x);
  const VecD one = hn::Set(d, 1.0);
  const VecD mantissa = hn::Add(parts.fraction, one);
  const VecD y = FastLogOf(mantissa);
  const VecPair inverse = Scaled(CarefulExp(hn::Neg(y), hn::Zero(d)), 0x1p-512);
  const VecPair step =
      Add(Mul(VecPair{mantissa, hn::Zero(d)}, inverse), PairOf(-1.0));
  const VecPair high =
      Mul(VecPair{parts.exponent, hn::Zero(d)},
          VecPair{hn::Set(d, kVectorLn2), hn::Set(d, kVectorLn2Low)});
  return Add(high, Add(VecPair{y, hn::Zero(d)}, step));
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
