// The three exponentials, on every instruction set of the machine: the fast one
// by the careful one, over a sample (exp_long_test has every float32), and the
// other two by MPFR.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/compute/kernel.h"
#include "server/compute/narrow_float.h"
#include "tests/compute/exp_errors.h"
#include "tests/support/exact_real.h"

namespace lossd::testing {
namespace {

constexpr uint32_t kBitsOf104 = 0x42d00000;

class ExpTest : public ::testing::TestWithParam<std::string> {
 protected:
  ExpTest() { compute::SelectKernel(GetParam()); }
  ~ExpTest() override { compute::SelectKernel(best_); }

  static void ExpectWithinBound(const ExpErrors& errors) {
    std::cout << errors.checked << " exponentials, worst error " << errors.worst
              << " of the bound\n";
    EXPECT_EQ(errors.failures, 0);
    EXPECT_LT(errors.worst, 1.0);
  }

  // |computed - exp(x)| 2^shift, relative to exp(x), is below 2^-bits, or it is
  // below 2^-least in size.
  static ::testing::AssertionResult IsExp(DoublePair computed, DoublePair x,
                                          int shift, int bits, int least) {
    ExactReal exact(400, x.hi), error(400, computed.hi);
    mpfr_add_d(exact.get(), exact.get(), x.lo, MPFR_RNDN);
    mpfr_exp(exact.get(), exact.get(), MPFR_RNDN);
    mpfr_mul_2si(exact.get(), exact.get(), shift, MPFR_RNDN);
    mpfr_add_d(error.get(), error.get(), computed.lo, MPFR_RNDN);
    mpfr_sub(error.get(), error.get(), exact.get(), MPFR_RNDN);
    if (mpfr_zero_p(error.get()) || mpfr_get_exp(error.get()) <= -least) {
      return ::testing::AssertionSuccess();
    }
    mpfr_div(error.get(), error.get(), exact.get(), MPFR_RNDN);
    const double log2 =
        std::log2(std::fabs(mpfr_get_d(error.get(), MPFR_RNDN)));
    if (log2 < -bits) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure()
           << "2^" << log2 << " at " << x.hi << " + " << x.lo;
  }

  std::mt19937_64 random_{1};
  const std::string best_{compute::ActiveKernel()};
};

INSTANTIATE_TEST_SUITE_P(Kernels, ExpTest,
                         ::testing::ValuesIn(compute::AvailableKernels()),
                         [](const auto& test) { return test.param; });

TEST_P(ExpTest, FastKeepsItsBoundOverASampleOfFloat32) {
  ExpectWithinBound(FastExpErrorsOfFloats(0, kBitsOf104 + 1, 4099));
  // And near 104, 1 and 2^-60, where the bound changes.
  for (const uint32_t near : {kBitsOf104, 0x3f800000u, 0x21800000u}) {
    ExpectWithinBound(FastExpErrorsOfFloats(near - 2000, near + 1, 1));
  }
}

// As logits without an offset they may lie above 0, too.
TEST_P(ExpTest, FastKeepsItsBoundOverEveryFloat16AndBFloat16) {
  std::vector<double> halves, brains;
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto narrow = static_cast<uint16_t>(bits);
    const double half = compute::ToDouble(compute::Float16{narrow});
    const double brain = compute::ToDouble(compute::BFloat16{narrow});
    if (half >= -700 && half <= 200) halves.push_back(half);
    if (brain >= -700 && brain <= 200) brains.push_back(brain);
  }
  EXPECT_GT(halves.size(), 45'000u);
  EXPECT_GT(brains.size(), 33'000u);
  ExpectWithinBound(FastExpErrors(halves));
  ExpectWithinBound(FastExpErrors(brains));
}

// What scale and offset leave is any double.
TEST_P(ExpTest, FastKeepsItsBoundOverDoubles) {
  std::vector<double> xs;
  for (const double range : {1e-3, 0.03, 1.0, 30.0, 200.0, 700.0}) {
    std::uniform_real_distribution<double> uniform(-range,
                                                   std::min(range, 200.0));
    for (int i = 0; i < 20'000; ++i) xs.push_back(uniform(random_));
  }
  // At and next to where the nearest multiple of ln2 / 16 changes.
  for (int n = -16'000; n < 4000; ++n) {
    const double x = (n + 0.5) * 0x1.62e42fefa39efp-5;
    xs.insert(xs.end(), {x, std::nextafter(x, 0.0), std::nextafter(x, 1e3)});
  }
  ExpectWithinBound(FastExpErrors(xs));
}

TEST_P(ExpTest, FastIsNearMpfrsToo) {
  std::uniform_real_distribution<double> uniform(-700, 200);
  for (int i = 0; i < 3000; ++i) {
    const double x = i % 2 == 0 ? uniform(random_) : uniform(random_) * 0.01;
    const double bound = (2.3 + 0.31 * std::abs(x)) * 0x1p-53;
    ExactReal exact(200, x);
    mpfr_exp(exact.get(), exact.get(), MPFR_RNDN);
    EXPECT_LT(RelativeError(FastExpOf(x), exact), bound) << x;
  }
}

TEST_P(ExpTest, FastIsZeroFarBelow) {
  EXPECT_GT(FastExpOf(-708.0), 0.0);
  for (const double x : {std::nextafter(-708.0, -1e3), -1e10, -1e300,
                         -std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(FastExpOf(x), 0.0) << x;
  }
  EXPECT_TRUE(std::isnan(FastExpOf(std::nan(""))));
  EXPECT_EQ(FastExpOf(0.0), 1.0);
  EXPECT_EQ(FastExpOf(-0.0), 1.0);
}

TEST_P(ExpTest, CarefulKeepsItsBound) {
  std::uniform_real_distribution<double> uniform(-1050, 0), unit(-1, 1);
  for (int i = 0; i < 6000; ++i) {
    const double scale = i % 3 == 0 ? 1.0 : i % 3 == 1 ? 0.03 : 1e-5;
    const double x = uniform(random_) * scale;
    // Up to 2 ulp, as a product of a difference and a scale leaves it.
    const double ulp = std::ldexp(1.0, std::ilogb(x) - 52);
    const double low = i % 2 == 0 ? 0.0 : 2.0 * ulp * unit(random_);
    ASSERT_TRUE(IsExp(CarefulExpOf({x, low}), {x, low}, 512, 61, 1100));
  }
}

TEST_P(ExpTest, CarefulIsZeroFarBelow) {
  EXPECT_GT(CarefulExpOf({-1050.0, 0.0}).hi, 0.0);
  for (const double x : {std::nextafter(-1050.0, -1e4), -1e300,
                         -std::numeric_limits<double>::infinity()}) {
    for (const double low : {0.0, std::nan("")}) {
      const DoublePair e = CarefulExpOf({x, low});
      EXPECT_EQ(e.hi, 0.0) << x;
      EXPECT_EQ(e.lo, 0.0) << x;
    }
  }
}

// Where the low half is subnormal its last bits go.
TEST_P(ExpTest, ExactKeepsItsBound) {
  std::uniform_real_distribution<double> uniform(-700, 700), unit(-0.5, 0.5);
  for (int i = 0; i < 6000; ++i) {
    const double scale = i % 3 == 0 ? 1.0 : i % 3 == 1 ? 0.01 : 1e-6;
    const double x = uniform(random_) * scale;
    const double ulp = std::ldexp(1.0, std::ilogb(x) - 52);
    const double low = i % 2 == 0 ? 0.0 : ulp * unit(random_);
    ASSERT_TRUE(IsExp(ExactExpOf({x, low}), {x, low}, 0, 97, 1073));
  }
}

}  // namespace
}  // namespace lossd::testing
