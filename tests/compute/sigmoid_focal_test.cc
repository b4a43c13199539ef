// The sigmoid focal loss against MPFR: every result of every type within 1 ulp,
// the same bits on every instruction set and any number of threads.
#include <cmath>
#include <cstdint>
#include <iostream>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/compute/kernel.h"
#include "tests/compute/sigmoid_focal_oracle.h"
#include "tests/support/elements.h"

namespace lossd::testing {
namespace {

using compute::BFloat16;
using compute::ElementType;
using compute::Float16;
using compute::SigmoidFocal;

// Each kind of power, what lies between, and both bounds.
constexpr double kGammas[] = {2,  0,  1,    0.5,     1.5,      3,      5.5,
                              16, 17, 1000, 0x1p-10, 0x1p-100, 0x1p100};
constexpr std::optional<double> kAlphas[] = {std::nullopt, 0.25, 1, 0, 0x1p-60};

SigmoidFocal Spec(uint64_t seed) {
  return {.gamma = kGammas[seed % std::size(kGammas)],
          .alpha = kAlphas[seed % std::size(kAlphas)]};
}

double DrawLogit(uint64_t kind, std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  constexpr double kScales[] = {1, 5, 30, 1e-4, 300};
  if (kind % 6 == 5) return std::round(2 * normal(random));
  return kScales[kind % 6] * normal(random);
}

// Where the slope is 0, among the targets on the logit's side.
double FlatTarget(double z, double gamma) {
  const double size = std::abs(z), e = std::exp(-size);
  double low = 0, high = 0.5;
  for (int i = 0; i < 1100 && low < high; ++i) {
    const double a = low + (high - low) / 2, b = 1 - a;
    const double part =
        a - b * e +
        gamma * (a - b) * (std::log1p(e) + a * size) * e / (a + b * e);
    if (a == low || a == high) break;
    (part < 0 ? low : high) = a;
  }
  return z < 0 ? high : 1 - high;
}

double DrawTarget(double z, double gamma, std::mt19937_64& random) {
  std::uniform_real_distribution<double> uniform(0, 1);
  switch (random() % 6) {
    case 0:
      return 0;
    case 1:
      return 1;
    case 2:
      return FlatTarget(z, gamma);
    case 3:
      return 0.5;
    case 4:
      return std::exp2(-200 * uniform(random));
    default:
      return uniform(random);
  }
}

template <typename T>
class SigmoidFocalTest : public ElementwiseOracleTest<T> {
 protected:
  static SpecBatch<T> Draw(const SigmoidFocal& loss, uint64_t seed,
                           int64_t rows, int64_t classes) {
    std::mt19937_64 random(seed);
    SpecBatch<T> batch{rows, classes};
    for (int64_t i = 0; i < rows * classes; ++i) {
      batch.logits.push_back(compute::FromDouble<T>(DrawLogit(seed, random)));
      batch.targets.push_back(
          DrawTarget(Wide(batch.logits.back()), loss.gamma, random));
    }
    constexpr ElementType kTypes[] = {
        ElementType::kFloat64, ElementType::kFloat32, ElementType::kFloat16,
        ElementType::kBFloat16};
    batch.target_type = kTypes[seed % 4];
    batch.targets = Rounded(batch.targets, batch.target_type);
    return batch;
  }

  void Check(const SigmoidFocal& loss, const SpecBatch<T>& batch) {
    this->Expect(loss, batch, [&](double z, double t, int64_t) {
      return SigmoidFocalOracle(loss, z, t);
    });
  }
};
using Types = ::testing::Types<float, Float16, BFloat16, double>;
TYPED_TEST_SUITE(SigmoidFocalTest, Types);

TYPED_TEST(SigmoidFocalTest, IsWithinOneUlp) {
  for (uint64_t seed = 0; seed < 280; ++seed) {
    const SigmoidFocal loss = Spec(seed);
    auto batch = this->Draw(loss, seed, 3, 1 + static_cast<int64_t>(seed) % 70);
    if (seed % 3 == 0) {
      batch.row_weights = {0.3, 1.7, 0};
      batch.upstream = {-2.5, 1e-3, 4};
      batch.options.divisor = 3.7;
    } else if (seed % 3 == 1) {
      batch.options.reduction = compute::Reduction::kSum;
    } else {
      batch.options.reduction = compute::Reduction::kNone;
    }
    this->Check(loss, batch);
  }
  std::cout << "worst " << this->worst() << " ulp\n";
}

TYPED_TEST(SigmoidFocalTest, IsWithinOneUlpOfLongRows) {
  for (uint64_t seed = 0; seed < std::size(kGammas); ++seed) {
    const SigmoidFocal loss = Spec(seed);
    this->Check(loss, this->Draw(loss, seed, 1, 1500));
  }
  std::cout << "worst " << this->worst() << " ulp\n";
}

// The two parts of the slope cancel to the target's last bit.
TYPED_TEST(SigmoidFocalTest, IsWithinOneUlpWhereTheSlopeIsNextToZero) {
  std::mt19937_64 random(3);
  for (const double gamma : kGammas) {
    const SigmoidFocal loss{.gamma = gamma};
    SpecBatch<TypeParam> batch{1, 0};
    for (int i = 0; i < 60; ++i) {
      const auto logit = compute::FromDouble<TypeParam>(
          std::ldexp(DrawLogit(0, random), i % 12 - 6));
      const double t = FlatTarget(Wide(logit), gamma);
      for (const double near :
           {t, std::nextafter(t, 0), std::nextafter(t, 1), t * (1 - 1e-9)}) {
        batch.logits.push_back(logit);
        batch.targets.push_back(near);
      }
    }
    batch.classes = static_cast<int64_t>(batch.logits.size());
    this->Check(loss, batch);
  }
  std::cout << "worst " << this->worst() << " ulp\n";
}

TYPED_TEST(SigmoidFocalTest, HasTheSameBitsEverywhere) {
  const std::string best(compute::ActiveKernel());
  for (uint64_t seed = 0; seed < 2 * std::size(kGammas); ++seed) {
    const SigmoidFocal loss = Spec(seed);
    auto batch = this->Draw(loss, seed, 41, 37);
    const SpecRun<TypeParam> want = MustRun(loss, batch);
    for (const std::string& kernel : compute::AvailableKernels()) {
      compute::SelectKernel(kernel);
      for (const int threads : {1, 3}) {
        batch.threads = threads;
        const SpecRun<TypeParam> run = MustRun(loss, batch);
        EXPECT_TRUE(SameBits(run.gradient, want.gradient)) << kernel;
        EXPECT_TRUE(SameBits(run.row_losses, want.row_losses)) << kernel;
        EXPECT_TRUE(SameBits(*run.summary.loss, *want.summary.loss)) << kernel;
        EXPECT_EQ(run.predictions, want.predictions) << kernel;
      }
    }
    compute::SelectKernel(best);
  }
}

}  // namespace
}  // namespace lossd::testing
