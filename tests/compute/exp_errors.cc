#include "tests/compute/exp_errors.h"

#include <algorithm>
#include <bit>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/compute/exp_errors.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/exact/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::testing::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace engine = lossd::compute::HWY_NAMESPACE;

using engine::Doubles;
using engine::VecD;

// Errors over bounds, lane by lane.
class Worst {
 public:
  HWY_INLINE Worst() : worst_(hn::Zero(Doubles())) {}

  HWY_INLINE void Add(VecD x) {
    const Doubles d;
    const VecD masked = engine::FastExp(x);
    VecD plain[1] = {x};
    engine::FastExps<false>(plain);
    const VecD unscale = hn::Set(d, 0x1p-512);
    static_assert(engine::kCarefulScaleBits == 512);
    // Above 0, too: CarefulExp is meant for differences from a maximum, but
    // nothing in it overflows there.
    const engine::VecPair exact = engine::CarefulExp(x, hn::Zero(d));
    const VecD hi = hn::Mul(exact.hi, unscale);
    const VecD off = hn::Sub(hn::Sub(masked, hi), hn::Mul(exact.lo, unscale));
    const VecD bound =
        hn::Mul(hi, engine::FusedMulAdd(hn::Abs(x), hn::Set(d, 0.31 * 0x1p-53),
                                        hn::Set(d, 2.3 * 0x1p-53)));
    const VecD ratio = hn::Div(hn::Abs(off), bound);
    worst_ = hn::Max(worst_, ratio);
    // False for NaN, too.
    const auto good =
        hn::And(hn::Lt(ratio, hn::Set(d, 1.0)), hn::Eq(plain[0], masked));
    failures_ += engine::kLanes - static_cast<int64_t>(hn::CountTrue(d, good));
    checked_ += engine::kLanes;
  }

  HWY_INLINE ExpErrors Result() const {
    return {checked_, hn::GetLane(hn::MaxOfLanes(Doubles(), worst_)),
            failures_};
  }

 private:
  VecD worst_;
  int64_t checked_ = 0;
  int64_t failures_ = 0;
};

ExpErrors OfFloats(uint32_t first, uint32_t last, uint32_t step) {
  Worst worst;
  float floats[engine::kLanes];
  uint64_t bits = first;
  while (bits < last) {
    for (int64_t i = 0; i < engine::kLanes; ++i, bits += step) {
      const uint64_t clamped = std::min<uint64_t>(bits, last - 1);
      floats[i] =
          std::bit_cast<float>(static_cast<uint32_t>(clamped) | 0x80000000u);
    }
    worst.Add(engine::LoadAsDouble(floats));
  }
  return worst.Result();
}

ExpErrors OfDoubles(const double* xs, int64_t count) {
  Worst worst;
  double lanes[engine::kLanes];
  for (int64_t i = 0; i < count; i += engine::kLanes) {
    for (int64_t j = 0; j < engine::kLanes; ++j) {
      lanes[j] = xs[std::min(i + j, count - 1)];
    }
    worst.Add(hn::LoadU(Doubles(), lanes));
  }
  return worst.Result();
}

double FastOf(double x) {
  return hn::GetLane(engine::FastExp(hn::Set(Doubles(), x)));
}
DoublePair CarefulOf(DoublePair x) {
  const engine::VecPair e =
      engine::CarefulExp(hn::Set(Doubles(), x.hi), hn::Set(Doubles(), x.lo));
  return {hn::GetLane(e.hi), hn::GetLane(e.lo)};
}
DoublePair ExactOf(DoublePair x) {
  const engine::Pair e = engine::ExactExp({x.hi, x.lo});
  return {e.hi, e.lo};
}

}  // namespace lossd::testing::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd::testing {

HWY_EXPORT(OfFloats);
HWY_EXPORT(OfDoubles);
HWY_EXPORT(FastOf);
HWY_EXPORT(CarefulOf);
HWY_EXPORT(ExactOf);

void ExpErrors::Add(const ExpErrors& next) {
  checked += next.checked;
  worst = std::max(worst, next.worst);
  failures += next.failures;
}

ExpErrors FastExpErrorsOfFloats(uint32_t first, uint32_t last, uint32_t step) {
  return HWY_DYNAMIC_DISPATCH(OfFloats)(first, last, step);
}
ExpErrors FastExpErrors(const std::vector<double>& xs) {
  return HWY_DYNAMIC_DISPATCH(OfDoubles)(xs.data(),
                                         static_cast<int64_t>(xs.size()));
}
double FastExpOf(double x) { return HWY_DYNAMIC_DISPATCH(FastOf)(x); }
DoublePair CarefulExpOf(DoublePair x) {
  return HWY_DYNAMIC_DISPATCH(CarefulOf)(x);
}
DoublePair ExactExpOf(DoublePair x) { return HWY_DYNAMIC_DISPATCH(ExactOf)(x); }

}  // namespace lossd::testing
#endif  // HWY_ONCE
