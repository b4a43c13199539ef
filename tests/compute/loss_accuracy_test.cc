// Against the oracle over all distributions: rows of every length from 1 to 70
// and around powers of two up to 4096. loss_accuracy_long_test has longer ones.
#include <string>
#include <type_traits>

#include "gtest/gtest.h"
#include "tests/support/accuracy.h"

namespace lossd::testing {
namespace {

// What the product promises; docs/numerics.md. An error of 0 ulp: the computed
// value is the exact one, rounded to nearest.
constexpr double kMaxUlpsOthers = 0;
constexpr double kMaxUlpsDouble = 1;

class AccuracyTest : public ::testing::TestWithParam<Distribution> {
 protected:
  template <typename T>
  void Check(const std::string& type) {
    AccuracyReport report;
    for (int64_t classes = 1; classes <= 70; ++classes) {
      MeasureAccuracy<T>(GetParam(), 4, classes, classes, report);
    }
    for (int64_t power = 128; power <= 4096; power *= 2) {
      for (int64_t classes : {power - 1, power, power + 1}) {
        MeasureAccuracy<T>(GetParam(), 1, classes, classes, report);
      }
    }
    ExpectAccurate(std::string(Name(GetParam())) + "_" + type, report,
                   std::is_same_v<T, double> ? kMaxUlpsDouble : kMaxUlpsOthers);
  }
};

INSTANTIATE_TEST_SUITE_P(Distributions, AccuracyTest,
                         ::testing::ValuesIn(AllDistributions()),
                         [](const auto& test) {
                           return std::string(Name(test.param));
                         });

TEST_P(AccuracyTest, OfFloat32IsCorrectlyRounded) { Check<float>("f32"); }

TEST_P(AccuracyTest, OfFloat16IsCorrectlyRounded) {
  Check<compute::Float16>("f16");
}

TEST_P(AccuracyTest, OfBFloat16IsCorrectlyRounded) {
  Check<compute::BFloat16>("bf16");
}

TEST_P(AccuracyTest, OfFloat64IsWithinOneUlp) { Check<double>("f64"); }

}  // namespace
}  // namespace lossd::testing
