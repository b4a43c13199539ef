// Logarithms, fast and exact. Included once per instruction set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_LOG_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_LOG_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_LOG_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_LOG_INL_H_
#endif

#include <bit>
#include <cmath>
#include <cstdint>

#include "hwy/highway.h"
#include "server/compute/exact/double_double-inl.h"
#include "server/compute/exact/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// P below.
inline constexpr double kLogCurve[] = {
    0x1.5555555555558p-1, 0x1.9999999995273p-2, 0x1.2492492dfd86cp-2,
    0x1.c71c62d5e53e0p-3, 0x1.7462b91b8df65p-3, 0x1.39fdcceb4bb45p-3,
    0x1.2b5f68a50d903p-3};

// ln(x + lost x) for finite x > 0, |lost| <= 2^-53. Not the C library's, whose
// bits depend on the machine.
// x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2); with s = f / (2 + f),
// ln(1 + f) = 2s + s^3 P(s^2) = f - f^2/2 + s (f^2/2 + s^2 P(s^2)).
// Accuracy: relative error under 2^-51.
HWY_INLINE double FastLog(double x, double lost) {
  constexpr const double(&kP)[7] = kLogCurve;
  constexpr double kLn2 = 0x1.62e42fefa39efp-1;
  constexpr double kLn2Low = 0x1.abc9e3b39803fp-56;
  const auto bits = std::bit_cast<int64_t>(x);
  // The exponent, and one more from sqrt(2) on.
  const int64_t k = (bits - std::bit_cast<int64_t>(0x1.6a09e667f3bcdp-1)) >> 52;
  const double f = std::bit_cast<double>(bits - (k << 52)) - 1.0;
  const double s = f / (2.0 + f);
  const double z = s * s;
  // By Estrin's scheme: short rows wait for it.
  const double z2 = z * z;
  const double low = std::fma(std::fma(kP[3], z, kP[2]), z2,  //
                              std::fma(kP[1], z, kP[0]));
  const double high = std::fma(kP[6], z2, std::fma(kP[5], z, kP[4]));
  const double p = std::fma(high, z2 * z2, low);
  const double half_square = 0.5 * f * f;
  const double tail = std::fma(s, half_square + z * p, lost);
  if (k == 0) return f - (half_square - tail);
  const double exponent = static_cast<double>(k);
  return exponent * kLn2 -
         ((half_square - std::fma(exponent, kLn2Low, tail)) - f);
}

// ln(1 + x) for finite x >= 0. Accuracy: relative error under 2^-51.
HWY_INLINE double FastLog1p(double x) {
  if (x < 0x1p-60) return x;
  const double one_plus = 1.0 + x;
  // What the sum above lost, relative to it.
  const double lost =
      (x < 1.0 ? x - (one_plus - 1.0) : 1.0 - (one_plus - x)) / one_plus;
  return FastLog(one_plus, lost);
}

// ln(1 + x) for 0 <= x.hi <= 2^900, one step of Newton's method from FastLog1p:
// y - 1 + (1 + x) exp(-y), whose error is half the square of y's.
// Accuracy: relative error under 2^-84, which is 2^-97 of 1 at x = 2^-12.
HWY_INLINE Pair ExactLog1p(Pair x) {
  if (x.hi < 0x1p-12) {
    // x - x^2/2 + x^3/3 ...: eight terms reach 2^-96.
    Pair sum = Pair{1.0 / 8, 0.0};
    for (int i = 8; i-- > 1;) {
      sum = Pair{1.0, 0.0} / Pair{static_cast<double>(i), 0.0} - sum * x;
    }
    return sum * x;
  }
  const double y = FastLog1p(x.hi);
  const Pair ratio = (Pair{1.0, 0.0} + x) * ExactExp(Pair{-y, 0.0});
  return Pair{y, 0.0} + (ratio - Pair{1.0, 0.0});
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
