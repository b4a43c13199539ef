// Capped logits against the oracle over all distributions, caps from one end of
// the range to the other, alone and beside random combinations of all other
// options.
#include <string>

#include "gtest/gtest.h"
#include "tests/support/accuracy.h"
#include "tests/support/draw_options.h"

namespace lossd::testing {
namespace {

// What docs/numerics.md promises of capped logits of every type.
constexpr double kMaxUlps = 1;

class SoftcapAccuracyTest : public ::testing::TestWithParam<Distribution> {
 protected:
  template <typename T>
  void Check(const std::string& type) {
    AccuracyReport report;
    uint64_t seed = 0;
    for (const double cap : {1e-6, 1e-2, 1.0, 2.0, 30.0, 50.0, 1e6}) {
      for (const int64_t classes : {1, 2, 3, 7, 16, 17, 33, 70}) {
        RunSettings settings;
        settings.loss.logit_softcap = cap;
        settings.options.reduction = compute::Reduction::kSum;
        MeasureAccuracy<T>(GetParam(), 2, classes, ++seed, settings, report);
      }
    }
    const std::string title = std::string(Name(GetParam())) + "_softcap_";
    ExpectAccurate(title + type, report, kMaxUlps);
    AccuracyReport with_options;
    for (seed = 1; seed <= 60; ++seed) {
      const auto classes = static_cast<int64_t>(1 + seed * 7 % 40);
      MeasureAccuracy<T>(GetParam(), 3, classes, seed,
                         DrawCappedOptions(seed, 3, classes), with_options);
    }
    for (seed = 1001; seed <= 1002; ++seed) {
      const auto classes = static_cast<int64_t>(300 + seed % 4 * 71);
      MeasureAccuracy<T>(GetParam(), 2, classes, seed,
                         DrawCappedOptions(seed, 2, classes), with_options);
    }
    ExpectAccurate(title + "options_" + type, with_options, kMaxUlps);
  }
};

INSTANTIATE_TEST_SUITE_P(Distributions, SoftcapAccuracyTest,
                         ::testing::ValuesIn(AllDistributions()),
                         [](const auto& test) {
                           return std::string(Name(test.param));
                         });

TEST_P(SoftcapAccuracyTest, OfFloat32IsWithinOneUlp) { Check<float>("f32"); }

TEST_P(SoftcapAccuracyTest, OfFloat16IsWithinOneUlp) {
  Check<compute::Float16>("f16");
}

TEST_P(SoftcapAccuracyTest, OfBFloat16IsWithinOneUlp) {
  Check<compute::BFloat16>("bf16");
}

TEST_P(SoftcapAccuracyTest, OfFloat64IsWithinOneUlp) { Check<double>("f64"); }

}  // namespace
}  // namespace lossd::testing
