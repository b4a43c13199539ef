// Against the oracle over all distributions and random combinations of all
// options: class weights, smoothing, z-loss, scale, row weights, upstream
// gradients, divisors and reductions, ignored rows, probabilities as targets,
// and other types of gradient. loss_accuracy_long_test has more.
#include <string>

#include "gtest/gtest.h"
#include "tests/support/accuracy.h"
#include "tests/support/draw_options.h"
#include "tests/support/elements.h"

namespace lossd::testing {
namespace {

class OptionsAccuracyTest : public ::testing::TestWithParam<Distribution> {
 protected:
  template <typename T>
  void Check(const std::string& type, double max_ulps) {
    AccuracyReport report;
    for (uint64_t seed = 1; seed <= 55; ++seed) {
      const auto classes = static_cast<int64_t>(1 + seed * 7 % 70);
      MeasureAccuracy<T>(GetParam(), 4, classes, seed,
                         DrawOptions(seed, 4, classes), report);
    }
    for (uint64_t seed = 1001; seed <= 1004; ++seed) {
      const auto classes = static_cast<int64_t>(500 + seed % 4 * 171);
      MeasureAccuracy<T>(GetParam(), 2, classes, seed,
                         DrawOptions(seed, 2, classes), report);
    }
    ExpectAccurate(std::string(Name(GetParam())) + "_options_" + type, report,
                   max_ulps);
  }
};

INSTANTIATE_TEST_SUITE_P(Distributions, OptionsAccuracyTest,
                         ::testing::ValuesIn(AllDistributions()),
                         [](const auto& test) {
                           return std::string(Name(test.param));
                         });

TEST_P(OptionsAccuracyTest, OfFloat32IsCorrectlyRounded) {
  Check<float>("f32", 0);
}

TEST_P(OptionsAccuracyTest, OfFloat16IsCorrectlyRounded) {
  Check<compute::Float16>("f16", 0);
}

TEST_P(OptionsAccuracyTest, OfBFloat16IsCorrectlyRounded) {
  Check<compute::BFloat16>("bf16", 0);
}

TEST_P(OptionsAccuracyTest, OfFloat64IsWithinOneUlp) {
  Check<double>("f64", 1);
}

}  // namespace
}  // namespace lossd::testing
