// The exponential that the rounding tests rest on, over every number that a
// float32, float16 or bfloat16 difference can be.
#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <string_view>
#include <thread>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/compute/exp_long_test.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/exact/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// The largest error over its bound, (2.3 + 0.31 |x|) 2^-53, of the exponentials
// of the negative floats with bits in [first, last) by steps of `step`. Against
// the careful exponential, which is 2^7 times as exact.
double WorstError(uint32_t first, uint32_t last, uint32_t step) {
  const Doubles d;
  VecD worst = hn::Zero(d);
  HWY_ALIGN float floats[kLanes];
  const VecD unscale = hn::Set(d, 0x1p-512);
  for (uint64_t bits = first; bits < last;) {
    for (int64_t i = 0; i < kLanes; ++i, bits += step) {
      const auto clamped =
          static_cast<uint32_t>(std::min<uint64_t>(bits, last - 1));
      floats[i] = std::bit_cast<float>(clamped | 0x80000000u);
    }
    const VecD x = LoadAsDouble(floats);
    const VecPair exact = CarefulExp(x, hn::Zero(d));
    const VecD difference =
        hn::Sub(hn::Sub(FastExp(x), hn::Mul(exact.hi, unscale)),
                hn::Mul(exact.lo, unscale));
    const VecD bound =
        hn::Mul(hn::Mul(exact.hi, unscale),
                FusedMulAdd(hn::Abs(x), hn::Set(d, 0.31 * 0x1p-53),
                            hn::Set(d, 2.3 * 0x1p-53)));
    worst = hn::Max(worst, hn::Div(hn::Abs(difference), bound));
  }
  return hn::GetLane(hn::MaxOfLanes(d, worst));
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "gtest/gtest.h"

namespace lossd::compute {
HWY_EXPORT(WorstError);
double WorstErrorHere(uint32_t first, uint32_t last, uint32_t step) {
  return HWY_DYNAMIC_DISPATCH(WorstError)(first, last, step);
}
}  // namespace lossd::compute

namespace lossd::testing {
namespace {

constexpr uint32_t kBlock = 1 << 22;

// Over all negative floats down to -104, on every core.
double WorstErrorTo104(uint32_t step) {
  const uint32_t end = std::bit_cast<uint32_t>(104.0f) + 1;
  std::atomic<uint32_t> next{0};
  const auto work = [&](double& worst) {
    for (uint32_t first; (first = next.fetch_add(kBlock)) < end;) {
      worst = std::max(worst, compute::WorstErrorHere(
                                  first, std::min(first + kBlock, end), step));
    }
  };
  std::vector<double> worst(std::max(1u, std::thread::hardware_concurrency()));
  std::vector<std::thread> threads;
  threads.reserve(worst.size());
  for (double& one : worst) threads.emplace_back([&] { work(one); });
  for (std::thread& thread : threads) thread.join();
  std::cout << end / step << " exponentials, worst error "
            << *std::max_element(worst.begin(), worst.end())
            << " of the bound\n";
  return *std::max_element(worst.begin(), worst.end());
}

// Every float16 and bfloat16 down to -104 is one of these float32, too.
TEST(FastExpTest, KeepsItsErrorBoundOverEveryFloat32) {
  const double worst = WorstErrorTo104(1);
  EXPECT_LT(worst, 1.0);
  EXPECT_GT(worst, 0.5) << "the bound could be tighter";
}

}  // namespace
}  // namespace lossd::testing
#endif  // HWY_ONCE
