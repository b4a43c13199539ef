// Powers below 1 in scalar pairs, by their logarithms: for the focal losses.
// Included once per instruction set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_POWER_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_POWER_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_POWER_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_POWER_INL_H_
#endif

#include "hwy/highway.h"
#include "server/compute/exact/double_double-inl.h"
#include "server/compute/exact/exp-inl.h"
#include "server/compute/exact/log-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

inline constexpr Pair kLn2 = {0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56};

// ln(1 + x / y) for x >= 0, y > 0, also where the quotient is beyond float64.
// Accuracy: ExactLog1p's.
inline HWY_NOINLINE Pair LogOfOnePlusRatio(Pair x, Pair y) {
  if (x.hi * 0x1p-450 < y.hi * 0x1p450) return ExactLog1p(x / y);
  constexpr double kShift = 800.0;
  const Pair ratio = Scaled(x, 0x1p-400) / Scaled(y, 0x1p400);
  return ExactLog1p(ratio) + Pair{kShift, 0.0} * kLn2;
}

// exp(x) for x <= 0, also where it is subnormal; 0 below 2^-1442.
inline HWY_NOINLINE Pair PowerOf(Pair x) {
  if (x.hi > -700.0) return ExactExp(x);
  if (!(x.hi > -1000.0)) return {};
  return Scaled(ExactExp(x + Pair{512.0, 0.0} * kLn2), 0x1p-512);
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
