// Against the oracle over all distributions: long rows, and many more options.
#include <string>

#include "gtest/gtest.h"
#include "tests/support/accuracy.h"
#include "tests/support/draw_options.h"

namespace lossd::testing {
namespace {

class LongRowAccuracyTest : public ::testing::TestWithParam<Distribution> {
 protected:
  template <typename T>
  void Check(double max_ulps) {
    AccuracyReport report;
    for (int64_t power = 8192; power <= 131072; power *= 4) {
      for (int64_t classes : {power - 1, power, power + 1}) {
        MeasureAccuracy<T>(GetParam(), 1, classes, classes, report);
      }
    }
    MeasureAccuracy<T>(GetParam(), 1, 50257, 1, report);
    // With options, so that spans of targets are added, too.
    for (const uint64_t seed : {2, 5, 6}) {
      MeasureAccuracy<T>(GetParam(), 1, 40961, seed,
                         DrawOptions(seed, 1, 40961), report);
    }
    ExpectAccurate(std::string(Name(GetParam())) + "_of_" +
                       std::to_string(8 * sizeof(T)) + "_bits",
                   report, max_ulps);
  }
};

INSTANTIATE_TEST_SUITE_P(Distributions, LongRowAccuracyTest,
                         ::testing::ValuesIn(AllDistributions()),
                         [](const auto& test) {
                           return std::string(Name(test.param));
                         });

TEST_P(LongRowAccuracyTest, OfFloat32IsCorrectlyRounded) { Check<float>(0); }

TEST_P(LongRowAccuracyTest, OfFloat16IsCorrectlyRounded) {
  Check<compute::Float16>(0);
}

TEST_P(LongRowAccuracyTest, OfBFloat16IsCorrectlyRounded) {
  Check<compute::BFloat16>(0);
}

TEST_P(LongRowAccuracyTest, OfFloat64IsWithinOneUlp) { Check<double>(1); }

class ManyOptionsAccuracyTest : public ::testing::TestWithParam<Distribution> {
 protected:
  template <typename T>
  void Check(double max_ulps) {
    AccuracyReport report;
    for (uint64_t seed = 2001; seed <= 2250; ++seed) {
      const auto classes = static_cast<int64_t>(1 + seed * 7 % 70);
      MeasureAccuracy<T>(GetParam(), 4, classes, seed,
                         DrawOptions(seed, 4, classes), report);
    }
    ExpectAccurate(std::string(Name(GetParam())) + "_options_of_" +
                       std::to_string(8 * sizeof(T)) + "_bits",
                   report, max_ulps);
  }
};

INSTANTIATE_TEST_SUITE_P(Distributions, ManyOptionsAccuracyTest,
                         ::testing::ValuesIn(AllDistributions()),
                         [](const auto& test) {
                           return std::string(Name(test.param));
                         });

TEST_P(ManyOptionsAccuracyTest, OfFloat32IsCorrectlyRounded) {
  Check<float>(0);
}

TEST_P(ManyOptionsAccuracyTest, OfFloat16IsCorrectlyRounded) {
  Check<compute::Float16>(0);
}

TEST_P(ManyOptionsAccuracyTest, OfBFloat16IsCorrectlyRounded) {
  Check<compute::BFloat16>(0);
}

TEST_P(ManyOptionsAccuracyTest, OfFloat64IsWithinOneUlp) { Check<double>(1); }

}  // namespace
}  // namespace lossd::testing
