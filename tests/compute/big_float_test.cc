// BigFloat against MPFR: sums, differences and products bit for bit, the
// functions within the errors they claim.
#include "server/compute/exact/big_float.h"

#include <gmp.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/exact_real.h"

namespace lossd::testing {
namespace {

using compute::BigFloat;
using compute::Exp;
using compute::Log1p;
using compute::Quotient;
using Unary = int (*)(mpfr_ptr, mpfr_srcptr, mpfr_rnd_t);
using Binary = int (*)(mpfr_ptr, mpfr_srcptr, mpfr_srcptr, mpfr_rnd_t);

constexpr double kLeast = std::numeric_limits<double>::denorm_min();
constexpr double kMax = std::numeric_limits<double>::max();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

ExactReal ToReal(const BigFloat& x) {
  mpz_t units;
  mpz_init(units);
  mpz_import(units, x.limbs().size(), -1, sizeof(uint64_t), 0, 0,
             x.limbs().data());
  if (x.sign() < 0) mpz_neg(units, units);
  ExactReal real(64 * static_cast<mpfr_prec_t>(x.limbs().size()) + 1);
  mpfr_set_z_2exp(real.get(), units, 64 * x.limb_exponent(), MPFR_RNDN);
  mpz_clear(units);
  return real;
}

BigFloat FromPositive(const ExactReal& real) {
  mpz_t units;
  mpz_init(units);
  const mpfr_exp_t exponent = mpfr_get_z_2exp(units, real.get());
  std::vector<uint64_t> limbs(mpz_sizeinbase(units, 2) / 64 + 1);
  mpz_export(limbs.data(), nullptr, -1, sizeof(uint64_t), 0, 0, units);
  mpz_clear(units);
  return BigFloat::FromLimbs(1, std::move(limbs), 0) *
         BigFloat::PowerOfTwo(exponent);
}

// The same number, in its one representation.
void ExpectSame(const BigFloat& computed, const ExactReal& exact) {
  EXPECT_TRUE(mpfr_equal_p(ToReal(computed).get(), exact.get()));
  EXPECT_EQ(computed.sign(), mpfr_sgn(exact.get()));
  if (computed.sign() == 0) {
    EXPECT_EQ(computed, BigFloat());
    return;
  }
  EXPECT_EQ(computed.exponent(), mpfr_get_exp(exact.get()) - 1);
  EXPECT_NE(computed.limbs().front(), 0u);
  EXPECT_NE(computed.limbs().back(), 0u);
}

::testing::AssertionResult IsWithin(const BigFloat& computed,
                                    const ExactReal& exact, int64_t bits) {
  ExactReal error(1024), bound(1024);
  mpfr_sub(error.get(), ToReal(computed).get(), exact.get(), MPFR_RNDA);
  mpfr_mul_2si(bound.get(), exact.get(), -bits, MPFR_RNDZ);
  if (mpfr_cmpabs(error.get(), bound.get()) < 0) {
    return ::testing::AssertionSuccess();
  }
  mpfr_div(error.get(), error.get(), bound.get(), MPFR_RNDN);
  return ::testing::AssertionFailure()
         << mpfr_get_d(error.get(), MPFR_RNDN) << " of 2^-" << bits;
}

// MPFR's value with 64 bits more than are checked.
ExactReal Reference(Unary function, const BigFloat& x, int64_t bits) {
  ExactReal result(bits + 64);
  function(result.get(), ToReal(x).get(), MPFR_RNDN);
  return result;
}

class BigFloatTest : public ::testing::Test {
 protected:
  // e^(2^39) is past MPFR's usual exponents.
  BigFloatTest() {
    mpfr_set_emin(mpfr_get_emin_min());
    mpfr_set_emax(mpfr_get_emax_max());
  }
  // 1 to `limbs` limbs, some of them 0 or all ones, and a limb exponent within
  // +-distance: what carries, borrows and cancels.
  BigFloat Random(int limbs, int distance) {
    std::vector<uint64_t> value(1 + Below(limbs));
    for (uint64_t& limb : value) {
      const uint64_t kind = Below(4);
      limb = kind == 0 ? 0 : kind == 1 ? ~uint64_t{0} : random_();
    }
    value.back() |= 1;
    const auto exponent = static_cast<int64_t>(Below(2 * distance + 1));
    return BigFloat::FromLimbs(Below(2) == 0 ? -1 : 1, std::move(value),
                               exponent - distance);
  }
  // Of about 2^exponent, with `bits` random bits.
  BigFloat RandomNear(int64_t exponent, int64_t bits) {
    std::vector<uint64_t> value(bits / 64 + 1);
    for (uint64_t& limb : value) limb = random_();
    value.back() |= 1;
    const BigFloat x = BigFloat::FromLimbs(1, std::move(value), 0);
    return x * BigFloat::PowerOfTwo(exponent - x.exponent());
  }
  uint64_t Below(uint64_t end) { return random_() % end; }

  std::mt19937_64 random_{20240501};
};

// With the precision each result needs, so that MPFR does not round either.
void ExpectExact(Binary function, const BigFloat& computed, const BigFloat& a,
                 const BigFloat& b) {
  ExactReal exact(1 << 14);
  const int rounded =
      function(exact.get(), ToReal(a).get(), ToReal(b).get(), MPFR_RNDN);
  ASSERT_EQ(rounded, 0);
  ExpectSame(computed, exact);
}

void ExpectExactArithmetic(const BigFloat& a, const BigFloat& b) {
  ExpectExact(mpfr_add, a + b, a, b);
  ExpectExact(mpfr_sub, a - b, a, b);
  ExpectExact(mpfr_mul, a * b, a, b);
}

TEST_F(BigFloatTest, ArithmeticIsExactWhateverTheExponents) {
  for (int i = 0; i < 3000; ++i) {
    ExpectExactArithmetic(Random(8, 3), Random(8, 3));
    ExpectExactArithmetic(Random(8, 100), Random(8, 100));
  }
}

TEST_F(BigFloatTest, ArithmeticIsExactWhereNearlyAllCancels) {
  for (int i = 0; i < 1000; ++i) {
    const BigFloat a = Random(8, 3);
    ExpectExactArithmetic(a, Random(2, 60) - a);
    ExpectExactArithmetic(a, Random(2, 60) + a);
    ExpectExactArithmetic(a, a);
    ExpectExactArithmetic(a, -a);
  }
  ExpectExactArithmetic(Random(8, 3), BigFloat());
  ExpectExactArithmetic(BigFloat(), Random(8, 3));
}

TEST_F(BigFloatTest, SumOfDistantTermsTakesTheLimbsBetweenThem) {
  const BigFloat one(1.0);
  const BigFloat tiny = BigFloat::PowerOfTwo(-1000000);
  const BigFloat sum = one + tiny;
  EXPECT_EQ(sum.limbs().size(), 1000000u / 64 + 1);
  EXPECT_EQ(sum - one, tiny);
  EXPECT_EQ((one - tiny).exponent(), -1);
}

TEST_F(BigFloatTest, ComparisonsAgreeWithMpfr) {
  for (int i = 0; i < 3000; ++i) {
    const BigFloat a = Random(4, 2);
    const ExactReal real = ToReal(a);
    for (const BigFloat& b : {Random(4, 2), a + Random(1, 40), a, -a}) {
      const int want = mpfr_cmp(real.get(), ToReal(b).get());
      EXPECT_EQ(a < b, want < 0);
      EXPECT_EQ(a > b, want > 0);
      EXPECT_EQ(a == b, want == 0);
    }
    EXPECT_EQ(a < BigFloat(), a.sign() < 0);
    EXPECT_EQ(BigFloat() < a, a.sign() > 0);
    ExactReal magnitude(1 << 10);
    mpfr_abs(magnitude.get(), real.get(), MPFR_RNDN);
    ExpectSame(Abs(a), magnitude);
  }
  EXPECT_EQ(BigFloat() <=> BigFloat(), std::strong_ordering::equal);
}

TEST_F(BigFloatTest, LimbAtIsZeroOutsideOfTheNumber) {
  const BigFloat x = BigFloat::FromLimbs(-1, {0, 7, 0, 9, 0}, -3);
  EXPECT_EQ(x.limb_exponent(), -2);
  EXPECT_EQ(x.limbs(), (std::vector<uint64_t>{7, 0, 9}));
  const uint64_t want[] = {0, 0, 7, 0, 9, 0, 0};
  for (int i = 0; i < 7; ++i) EXPECT_EQ(x.LimbAt(i - 4), want[i]) << i;
}

TEST_F(BigFloatTest, TruncatedGoesTowardZeroByLessThanTheLastBit) {
  for (int i = 0; i < 3000; ++i) {
    const BigFloat x = Random(6, 20);
    const auto bits = static_cast<int64_t>(1 + Below(6 * 64 + 10));
    const ExactReal exact = ToReal(x);
    ExactReal want(bits);
    mpfr_set(want.get(), exact.get(), MPFR_RNDZ);
    ExpectSame(x.Truncated(bits), want);
    EXPECT_TRUE(IsWithin(x.Truncated(bits), exact, bits - 1));
  }
  EXPECT_EQ(BigFloat().Truncated(1), BigFloat());
}

TEST_F(BigFloatTest, PowerOfTwoIsThat) {
  for (int64_t exponent : {-129, -128, -65, -64, -63, -1, 0, 1, 63, 64, 127}) {
    EXPECT_EQ(BigFloat::PowerOfTwo(exponent).exponent(), exponent);
    EXPECT_EQ(BigFloat::PowerOfTwo(exponent).ToDouble(),
              std::ldexp(1.0, static_cast<int>(exponent)));
  }
  const int64_t far = int64_t{1} << 61;
  EXPECT_EQ(BigFloat::PowerOfTwo(far) * BigFloat::PowerOfTwo(-far),
            BigFloat(1.0));
}

TEST_F(BigFloatTest, DoublesGoThroughUnchanged) {
  std::vector<double> values = {
      0.0,       1.0,  -1.0,  kLeast, -kLeast, 5 * kLeast, 0x1p-1022 - kLeast,
      0x1p-1022, kMax, -kMax, 0x1p63, 0x1p64,  0x1p-64};
  for (int i = 0; i < 3000; ++i) {
    const auto value = std::bit_cast<double>(random_());
    if (std::isfinite(value)) values.push_back(value);
  }
  for (double value : values) {
    ExpectSame(BigFloat(value), ExactReal(53, value));
    EXPECT_EQ(BigFloat(value).ToDouble(), value);
  }
  EXPECT_EQ(BigFloat(-0.0), BigFloat());
}

TEST_F(BigFloatTest, ToDoubleRoundsOnceToNearestEven) {
  const BigFloat half(0.5);
  for (double value :
       {1.0, 1.5, std::nextafter(2.0, 1.0), std::nextafter(1.0, 0.0), 0x1p63,
        kLeast, 3 * kLeast, 0x1p-1022, 0x1p-1022 - kLeast,
        0x1p-1022 - 2 * kLeast, 0x1p-1021, 0x1p-1021 - kLeast, 0x1p1023}) {
    const BigFloat low(value);
    const BigFloat high(std::nextafter(value, kInfinity));
    const BigFloat middle = (low + high) * half;
    for (int64_t distance : {1078, 1100, 1138, 1139, 5000}) {
      const BigFloat nudge = BigFloat::PowerOfTwo(-distance);
      for (const BigFloat& x :
           {middle, middle - nudge, middle + nudge, low + nudge}) {
        EXPECT_EQ(x.ToDouble(), RoundTo<double>(ToReal(x))) << value;
        EXPECT_EQ((-x).ToDouble(), -x.ToDouble());
      }
    }
  }
  for (int i = 0; i < 3000; ++i) {
    const BigFloat x = Random(5, 20);
    EXPECT_EQ(x.ToDouble(), RoundTo<double>(ToReal(x)));
  }
}

TEST_F(BigFloatTest, ToDoubleUnderflowsAndOverflowsAtTheHalfwayPoints) {
  const BigFloat nudge = BigFloat::PowerOfTwo(-5000);
  const BigFloat half_least = BigFloat::PowerOfTwo(-1075);
  EXPECT_EQ(half_least.ToDouble(), 0.0);
  EXPECT_EQ((half_least - nudge).ToDouble(), 0.0);
  EXPECT_EQ((half_least + nudge).ToDouble(), kLeast);
  EXPECT_EQ((-half_least - nudge).ToDouble(), -kLeast);
  EXPECT_TRUE(std::signbit((-half_least).ToDouble()));
  EXPECT_TRUE(std::signbit((-nudge).ToDouble()));
  EXPECT_FALSE(std::signbit(BigFloat().ToDouble()));
  const BigFloat past_max = BigFloat(kMax) + BigFloat::PowerOfTwo(970);
  EXPECT_EQ((past_max - nudge).ToDouble(), kMax);
  EXPECT_EQ(past_max.ToDouble(), kInfinity);
  EXPECT_EQ((-past_max).ToDouble(), -kInfinity);
  EXPECT_EQ(BigFloat::PowerOfTwo(1024).ToDouble(), kInfinity);
}

class BigFloatBitsTest : public BigFloatTest,
                         public ::testing::WithParamInterface<int64_t> {
 protected:
  void ExpectQuotient(const BigFloat& a, const BigFloat& b) {
    ExactReal exact(GetParam() + 64);
    mpfr_div(exact.get(), ToReal(a).get(), ToReal(b).get(), MPFR_RNDN);
    Expect(Quotient(a, b, GetParam()), exact);
  }
  void ExpectExp(const BigFloat& x) {
    Expect(Exp(x, GetParam()), Reference(mpfr_exp, x, GetParam()));
  }
  void ExpectLog1p(const BigFloat& x) {
    Expect(Log1p(x, GetParam()), Reference(mpfr_log1p, x, GetParam()));
  }
  int Count() const { return GetParam() > 500 ? 30 : 1000; }

 private:
  // Right, and no longer than that takes.
  void Expect(const BigFloat& computed, const ExactReal& exact) {
    EXPECT_TRUE(IsWithin(computed, exact, GetParam()));
    const auto limbs = static_cast<int64_t>(computed.limbs().size());
    EXPECT_LE(64 * (limbs - 2), GetParam() + 4);
  }
};

// 227 is the most that Exp does with four limbs.
INSTANTIATE_TEST_SUITE_P(Bits, BigFloatBitsTest,
                         ::testing::Values(1, 17, 48, 49, 64, 103, 128, 192,
                                           227, 256, 512, 1000, 4000));

TEST_P(BigFloatBitsTest, QuotientIsWithinItsBound) {
  for (int i = 0; i < Count(); ++i) {
    ExpectQuotient(Random(8, 100), Random(8, 100));
    ExpectQuotient(Random(1, 1), RandomNear(0, 2 * GetParam()));
    ExpectQuotient(BigFloat(1.0), BigFloat(2.0) - Abs(Random(1, 10)));
  }
  for (int64_t distance : {1, 53, 54, 1000, 5000}) {
    const BigFloat nudge = BigFloat::PowerOfTwo(-distance);
    ExpectQuotient(BigFloat(-1.0), BigFloat(1.0) + nudge);
    ExpectQuotient(BigFloat(1.0), nudge - BigFloat(2.0));
    ExpectQuotient(nudge, BigFloat(-3.0));
  }
  EXPECT_EQ(Quotient(BigFloat(), BigFloat(3.0), GetParam()), BigFloat());
  EXPECT_EQ(Quotient(BigFloat(-6.0), BigFloat(2.0), GetParam()).exponent(), 1);
}

TEST_P(BigFloatBitsTest, ExpOfRandomNumbersIsWithinItsBound) {
  for (int i = 0; i < Count(); ++i) {
    const int64_t exponent = static_cast<int64_t>(Below(60)) - 20;
    const BigFloat x = RandomNear(exponent, 64 + GetParam());
    ExpectExp(x);
    ExpectExp(-x);
    const BigFloat tiny = RandomNear(-static_cast<int64_t>(Below(5000)), 99);
    ExpectExp(tiny);
    ExpectExp(-tiny);
  }
}

TEST_P(BigFloatBitsTest, ExpOfSpecialNumbersIsWithinItsBound) {
  EXPECT_EQ(Exp(BigFloat(), GetParam()), BigFloat(1.0));
  for (int64_t exponent : {-100000, -5000, -4001, -1001, -193, -65, -64, -63,
                           -50, -2, -1, 0, 1, 10, 38, 39}) {
    ExpectExp(BigFloat::PowerOfTwo(exponent));
    ExpectExp(-BigFloat::PowerOfTwo(exponent));
  }
  for (double x : {-1e6, -1e9, -0.75, 745.13, -0x1.fffffffffffffp39,
                   0x1.fffffffffffffp39}) {
    ExpectExp(BigFloat(x));
  }
  ExpectExp(BigFloat(-3.25) + BigFloat::PowerOfTwo(-20000));
}

TEST_P(BigFloatBitsTest, ExpNextToMultiplesOfLn2IsWithinItsBound) {
  ExactReal ln2(GetParam() + 100);
  for (double multiple : {1.0, 2.0, 3.0, 5.0, 1000.0, 0x1p30, 0x1p39}) {
    for (const mpfr_rnd_t rounding : {MPFR_RNDD, MPFR_RNDU}) {
      mpfr_const_log2(ln2.get(), rounding);
      const BigFloat x = FromPositive(ln2) * BigFloat(multiple);
      for (int64_t distance : {20, 40, 50, 60, 70, 128, 500}) {
        const BigFloat nudge = BigFloat::PowerOfTwo(-distance);
        for (const BigFloat& near : {x, x + nudge, x - nudge}) {
          ExpectExp(near);
          ExpectExp(-near);
        }
      }
    }
  }
}

TEST_P(BigFloatBitsTest, Log1pOfRandomNumbersIsWithinItsBound) {
  for (int i = 0; i < Count(); ++i) {
    const int64_t exponent = static_cast<int64_t>(Below(70)) - 30;
    ExpectLog1p(RandomNear(exponent, 64 + GetParam()));
    ExpectLog1p(RandomNear(-static_cast<int64_t>(Below(10000)), 99));
  }
}

TEST_P(BigFloatBitsTest, Log1pOfSpecialNumbersIsWithinItsBound) {
  EXPECT_EQ(Log1p(BigFloat(), GetParam()), BigFloat());
  for (int64_t exponent :
       {-100000, -5000, -4005, -4004, -1005, -1004, -197, -196, -69, -68, -18,
        -17,     -16,   -15,   -10,   -1,    0,     1,    39,   40,  999}) {
    const BigFloat x = BigFloat::PowerOfTwo(exponent);
    ExpectLog1p(x);
    ExpectLog1p(x + x * BigFloat::PowerOfTwo(-3000));
    ExpectLog1p(x - x * BigFloat::PowerOfTwo(-3000));
  }
}

TEST(BigFloatThreadsTest, FirstCallsFromManyThreadsAgree) {
  // Bits that no other test has, so that the tables are made here.
  constexpr int64_t kBits = 2345;
  const BigFloat x(-1.25);
  std::vector<BigFloat> results(4);
  std::vector<std::thread> threads;
  threads.reserve(results.size());
  for (BigFloat& result : results) {
    threads.emplace_back([&result, &x] { result = Exp(x, kBits); });
  }
  for (std::thread& thread : threads) thread.join();
  const ExactReal exact = Reference(mpfr_exp, x, kBits);
  for (const BigFloat& result : results) {
    EXPECT_TRUE(IsWithin(result, exact, kBits));
  }
}

}  // namespace
}  // namespace lossd::testing
