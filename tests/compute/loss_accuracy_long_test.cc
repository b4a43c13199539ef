// Against the oracle over all distributions: long rows.
#include <string>
#include <type_traits>

#include "gtest/gtest.h"
#include "tests/support/accuracy.h"

namespace lossd::testing {
namespace {

class LongRowAccuracyTest : public ::testing::TestWithParam<Distribution> {
 protected:
  template <typename T>
  void Check(double max_ulps) {
    AccuracyReport report;
    for (int64_t power = 8192; power <= 131072; power *= 2) {
      for (int64_t classes : {power - 1, power, power + 1}) {
        MeasureAccuracy<T>(GetParam(), 1, classes, classes, report);
      }
    }
    MeasureAccuracy<T>(GetParam(), 1, 50257, 1, report);
    const bool is_float = std::is_same_v<T, float>;
    ExpectAccurate(std::string(Name(GetParam())) + (is_float ? "_f32" : "_f64"),
                   report, max_ulps);
  }
};

INSTANTIATE_TEST_SUITE_P(Distributions, LongRowAccuracyTest,
                         ::testing::ValuesIn(AllDistributions()),
                         [](const auto& test) {
                           return std::string(Name(test.param));
                         });

TEST_P(LongRowAccuracyTest, OfFloat32IsCorrectlyRounded) { Check<float>(0); }

TEST_P(LongRowAccuracyTest, OfFloat64IsWithinOneUlp) { Check<double>(1); }

}  // namespace
}  // namespace lossd::testing
