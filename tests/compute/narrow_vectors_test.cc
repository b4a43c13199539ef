// The vectors' conversions between float16, bfloat16, float32 and float64, on
// every instruction set of the machine, against those of one number.
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/compute/kernel.h"
#include "server/compute/narrow_float.h"
#include "tests/support/elements.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/compute/narrow_vectors_test.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/exact/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::testing::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace engine = lossd::compute::HWY_NAMESPACE;

// Whole vectors. REQUIRES: sizes are multiples of 16.
template <typename T>
void Widen(const std::vector<T>& from, std::vector<double>& to) {
  for (size_t i = 0; i < from.size(); i += engine::kLanes) {
    hn::StoreU(engine::LoadAsDouble(from.data() + i), engine::Doubles(),
               to.data() + i);
  }
}
template <typename T>
void WidenToFloats(const std::vector<T>& from, std::vector<float>& to) {
  const hn::CappedTag<float, 16> df;
  for (size_t i = 0; i < from.size(); i += hn::Lanes(df)) {
    hn::StoreU(engine::LoadFloats(df, from.data() + i), df, to.data() + i);
  }
}
template <class DF, typename T>
void Narrow(DF df, const std::vector<float>& from, std::vector<T>& to) {
  for (size_t i = 0; i < from.size(); i += hn::Lanes(df)) {
    const auto bits =
        engine::NarrowBits(df, hn::LoadU(df, from.data() + i), T());
    hn::StoreU(bits, hn::Rebind<uint16_t, DF>(),
               reinterpret_cast<uint16_t*>(to.data()) + i);
  }
}

void WidenFloat16(const std::vector<compute::Float16>& from,
                  std::vector<double>& to, std::vector<float>& floats) {
  Widen(from, to);
  WidenToFloats(from, floats);
}
void WidenBFloat16(const std::vector<compute::BFloat16>& from,
                   std::vector<double>& to, std::vector<float>& floats) {
  Widen(from, to);
  WidenToFloats(from, floats);
}
// By half and by whole vectors, as the engine does.
void NarrowToFloat16(const std::vector<float>& from,
                     std::vector<compute::Float16>& halves,
                     std::vector<compute::Float16>& wholes) {
  Narrow(engine::Floats(), from, halves);
  Narrow(hn::CappedTag<float, 16>(), from, wholes);
}
void NarrowToBFloat16(const std::vector<float>& from,
                      std::vector<compute::BFloat16>& halves,
                      std::vector<compute::BFloat16>& wholes) {
  Narrow(engine::Floats(), from, halves);
  Narrow(hn::CappedTag<float, 16>(), from, wholes);
}
void NarrowToFloats(const std::vector<double>& from, std::vector<float>& to) {
  for (size_t i = 0; i < from.size(); i += engine::kLanes) {
    const auto x = hn::LoadU(engine::Doubles(), from.data() + i);
    hn::StoreU(engine::ToFloats(x), engine::Floats(), to.data() + i);
  }
}
const char* TargetName() { return hwy::TargetName(HWY_TARGET); }

}  // namespace lossd::testing::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd::testing {
HWY_EXPORT(WidenFloat16);
HWY_EXPORT(WidenBFloat16);
HWY_EXPORT(NarrowToFloat16);
HWY_EXPORT(NarrowToBFloat16);
HWY_EXPORT(NarrowToFloats);
HWY_EXPORT(TargetName);
namespace {

using compute::BFloat16;
using compute::Float16;

void Widened(const std::vector<Float16>& from, std::vector<double>& to,
             std::vector<float>& floats) {
  HWY_DYNAMIC_DISPATCH(WidenFloat16)(from, to, floats);
}
void Widened(const std::vector<BFloat16>& from, std::vector<double>& to,
             std::vector<float>& floats) {
  HWY_DYNAMIC_DISPATCH(WidenBFloat16)(from, to, floats);
}
void Narrowed(const std::vector<float>& from, std::vector<Float16>& halves,
              std::vector<Float16>& wholes) {
  HWY_DYNAMIC_DISPATCH(NarrowToFloat16)(from, halves, wholes);
}
void Narrowed(const std::vector<float>& from, std::vector<BFloat16>& halves,
              std::vector<BFloat16>& wholes) {
  HWY_DYNAMIC_DISPATCH(NarrowToBFloat16)(from, halves, wholes);
}

class NarrowVectorsTest : public ::testing::TestWithParam<std::string> {
 protected:
  NarrowVectorsTest() {
    compute::SelectKernel(GetParam());
    EXPECT_EQ(HWY_DYNAMIC_DISPATCH(TargetName)(), GetParam());
  }
  ~NarrowVectorsTest() override { compute::SelectKernel(best_); }

  template <typename T>
  void ExpectEveryPatternWidens() {
    std::vector<T> from;
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
      from.push_back({static_cast<uint16_t>(bits)});
    }
    std::vector<double> to(from.size());
    std::vector<float> floats(from.size());
    Widened(from, to, floats);
    for (size_t i = 0; i < from.size(); ++i) {
      const double want = compute::ToDouble(from[i]);
      if (std::isnan(want)) {
        ASSERT_TRUE(std::isnan(to[i]) && std::isnan(floats[i])) << i;
        continue;
      }
      ASSERT_TRUE(SameBits(to[i], want)) << i << ": " << to[i];
      ASSERT_TRUE(SameBits(floats[i], static_cast<float>(want))) << i;
    }
  }

  template <typename T>
  void ExpectFloatsRound(const std::vector<float>& from) {
    std::vector<T> halves(from.size()), wholes(from.size());
    Narrowed(from, halves, wholes);
    for (size_t i = 0; i < from.size(); ++i) {
      const T want = compute::FromDouble<T>(from[i]);
      ASSERT_EQ(halves[i], want) << std::hexfloat << from[i];
      ASSERT_EQ(wholes[i], want) << std::hexfloat << from[i];
    }
  }

  // All numbers of T and the middles between them, with their neighbours.
  template <typename T>
  static std::vector<float> FloatsAround() {
    std::vector<float> floats;
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
      const double value = compute::ToDouble(T{static_cast<uint16_t>(bits)});
      if (!std::isfinite(value)) continue;
      double next = compute::ToDouble(T{static_cast<uint16_t>(bits + 1)});
      if (std::isinf(next)) {
        next = std::copysign(std::ldexp(1.0, T::kMaxExponent + 1), value);
      }
      for (const double x : {value, 0.5 * (value + next)}) {
        const auto f = static_cast<float>(x);
        floats.insert(floats.end(), {f, std::nextafter(f, 0.0f),
                                     std::nextafter(f, 2 * f), -f});
      }
    }
    return floats;
  }

  const std::string best_{compute::ActiveKernel()};
};

INSTANTIATE_TEST_SUITE_P(Kernels, NarrowVectorsTest,
                         ::testing::ValuesIn(compute::AvailableKernels()),
                         [](const auto& test) { return test.param; });

TEST_P(NarrowVectorsTest, WidenEveryBitPattern) {
  ExpectEveryPatternWidens<Float16>();
  ExpectEveryPatternWidens<BFloat16>();
}

TEST_P(NarrowVectorsTest, RoundAtAndNextToEveryMiddle) {
  ExpectFloatsRound<Float16>(FloatsAround<Float16>());
  ExpectFloatsRound<BFloat16>(FloatsAround<BFloat16>());
}

TEST_P(NarrowVectorsTest, RoundFloatsOfAnySize) {
  std::mt19937_64 random(1);
  std::vector<float> floats = {0.0f,
                               -0.0f,
                               std::numeric_limits<float>::infinity(),
                               -std::numeric_limits<float>::infinity(),
                               std::numeric_limits<float>::max(),
                               std::numeric_limits<float>::min(),
                               std::numeric_limits<float>::denorm_min(),
                               -std::numeric_limits<float>::denorm_min()};
  while (floats.size() < 200'000) {
    const auto f = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (!std::isnan(f)) floats.push_back(f);
  }
  ExpectFloatsRound<Float16>(floats);
  ExpectFloatsRound<BFloat16>(floats);
}

TEST_P(NarrowVectorsTest, RoundDoublesToFloats) {
  std::mt19937_64 random(2);
  std::vector<double> doubles = {0x1.fffffefffffffp+127,  // rounds down
                                 0x1.ffffffp+127,         // the upper middle
                                 std::numeric_limits<double>::max(),
                                 std::numeric_limits<double>::infinity(),
                                 0x1p-150,
                                 0x1.0000000000001p-150,
                                 0x1p-1074,
                                 0.0};
  while (doubles.size() < 200'000) {
    // Around the middles of floats of any size, subnormal ones included.
    const auto bits = static_cast<uint32_t>(random()) & 0x7fffffff;
    const double low = std::bit_cast<float>(bits);
    const double high = std::bit_cast<float>(bits + 1);
    if (!std::isfinite(low) || !std::isfinite(high)) continue;
    const double middle = 0.5 * (low + high);
    doubles.insert(doubles.end(),
                   {middle, std::nextafter(middle, 0.0),
                    std::nextafter(middle, 2 * middle + 1), low});
  }
  const size_t count = doubles.size();
  for (size_t i = 0; i < count; ++i) doubles.push_back(-doubles[i]);
  std::vector<float> floats(doubles.size());
  HWY_DYNAMIC_DISPATCH(NarrowToFloats)(doubles, floats);
  for (size_t i = 0; i < doubles.size(); ++i) {
    ASSERT_TRUE(SameBits(floats[i], static_cast<float>(doubles[i])))
        << std::hexfloat << doubles[i];
  }
}

}  // namespace
}  // namespace lossd::testing
#endif  // HWY_ONCE
