// Logarithms of vectors. Included once per instruction set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_VECTOR_LOG_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_VECTOR_LOG_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_VECTOR_LOG_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_VECTOR_LOG_INL_H_
#endif

#include <bit>
#include <cstdint>

#include "hwy/highway.h"
#include "server/compute/exact/exp-inl.h"
#include "server/compute/exact/log-inl.h"
#include "server/compute/exact/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// ln(x + lost x) for normal x, |lost| <= 2^-53: FastLog of each lane.
// Accuracy: relative error under 2^-51.
HWY_INLINE VecD FastLog(VecD x, VecD lost) {
  constexpr double kLn2High = 0x1.62e42fefa39efp-1;
  constexpr double kLn2Low = 0x1.abc9e3b39803fp-56;
  const Doubles d;
  const Bits di;
  const auto bits = hn::BitCast(di, x);
  const auto k = hn::ShiftRight<52>(
      hn::Sub(bits, hn::Set(di, std::bit_cast<int64_t>(0x1.6a09e667f3bcdp-1))));
  const VecD to_integer = hn::Set(d, kToInteger);
  const VecD exponent = hn::Sub(
      hn::BitCast(d, hn::Add(k, hn::BitCast(di, to_integer))), to_integer);
  const VecD f = hn::Sub(hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<52>(k))),
                         hn::Set(d, 1.0));
  const VecD s = hn::Div(f, hn::Add(hn::Set(d, 2.0), f));
  const VecD z = hn::Mul(s, s);
  const VecD half_square = hn::Mul(hn::Mul(f, f), hn::Set(d, 0.5));
  const VecD tail = FusedMulAdd(
      s, FusedMulAdd(z, Polynomial(z, kLogCurve), half_square), lost);
  const VecD low = FusedMulAdd(exponent, hn::Set(d, kLn2Low), tail);
  // Where the exponent is 0, f comes first and nothing is lost of it.
  return FusedMulAdd(exponent, hn::Set(d, kLn2High),
                     hn::Sub(f, hn::Sub(half_square, low)));
}

// ln(1 + x) for finite x >= 0. Accuracy: relative error under 2^-51.
HWY_INLINE VecD FastLog1p(VecD x) {
  const Doubles d;
  const VecD one = hn::Set(d, 1.0);
  const VecD sum = hn::Add(one, x);
  const VecD lost =
      hn::IfThenElse(hn::Lt(x, one), hn::Sub(x, hn::Sub(sum, one)),
                     hn::Sub(one, hn::Sub(sum, x)));
  return FastLog(sum, hn::Div(lost, sum));
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
