// A float64 gradient of narrower logits: within 1 ulp of float64, and nothing
// else changes.
#include <string>
#include <variant>
#include <vector>

#include "gtest/gtest.h"
#include "server/compute/kernel.h"
#include "tests/support/accuracy.h"
#include "tests/support/draw_options.h"
#include "tests/support/elements.h"
#include "tests/support/loss_runner.h"
#include "tests/support/spec_runner.h"

namespace lossd::testing {
namespace {

using compute::ElementType;

template <typename T>
class WideGradientTest : public ::testing::Test {};
using Types = ::testing::Types<float, compute::Float16, compute::BFloat16>;
TYPED_TEST_SUITE(WideGradientTest, Types);

TYPED_TEST(WideGradientTest, IsWithinOneUlpAndOtherResultsCorrectlyRounded) {
  AccuracyReport report;
  uint64_t seed = 0;
  for (const Distribution distribution : AllDistributions()) {
    for (const int64_t classes : {1, 2, 3, 16, 17, 70}) {
      RunSettings settings;
      settings.gradient_type = ElementType::kFloat64;
      MeasureAccuracy<TypeParam>(distribution, 2, classes, ++seed, settings,
                                 report);
      settings = DrawOptions(seed, 2, classes);
      settings.gradient_type = ElementType::kFloat64;
      MeasureAccuracy<TypeParam>(distribution, 2, classes, seed, settings,
                                 report);
    }
  }
  EXPECT_GT(report.gradient.values, 0);
  EXPECT_LE(report.gradient.worst_ulps, 1) << report.gradient.worst_at;
  EXPECT_EQ(report.row_losses.worst_ulps, 0) << report.row_losses.worst_at;
  EXPECT_EQ(report.log_sum_exp.worst_ulps, 0) << report.log_sum_exp.worst_at;
  EXPECT_EQ(report.probabilities.worst_ulps, 0);
  EXPECT_EQ(report.log_probabilities.worst_ulps, 0);
}

TYPED_TEST(WideGradientTest, ChangesNothingElse) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    RunSettings settings = DrawOptions(seed, 4, 33);
    const auto batch =
        DrawBatch<TypeParam>(Distribution::kNormal5, 4, 33, seed);
    settings.gradient_type = ElementType::kFloat32;
    const LossRun<TypeParam> narrow = MustRunLoss(batch, settings);
    settings.gradient_type = ElementType::kFloat64;
    LossRun<TypeParam> wide = MustRunLoss(batch, settings);
    // Float32's gradient is float64's rounded, but for a double rounding.
    for (size_t i = 0; i < wide.gradient_wide.size(); ++i) {
      EXPECT_FLOAT_EQ(static_cast<float>(wide.gradient_wide[i]),
                      static_cast<float>(narrow.gradient_wide[i]));
    }
    wide.gradient_wide = narrow.gradient_wide;
    EXPECT_TRUE(SameBits(wide, narrow)) << seed;
  }
}

// The logits as float64 give the same gradient, bit by bit: of softmax
// cross-entropy, and of every other loss.
TYPED_TEST(WideGradientTest, IsThatOfTheSameLogitsInFloat64) {
  const int64_t classes = 37;
  const auto batch =
      DrawBatch<TypeParam>(Distribution::kNormal5, 4, classes, 3);
  RunSettings settings;
  settings.loss.label_smoothing = 0.1;
  settings.gradient_type = ElementType::kFloat64;
  const TestBatch<double> same = {4, classes, Wide(batch.logits), batch.labels};
  EXPECT_EQ(MustRunLoss(batch, settings).gradient_wide,
            MustRunLoss(same, settings).gradient_wide);
  for (const compute::LossSpec& spec : std::vector<compute::LossSpec>{
           compute::SigmoidCrossEntropy{.label_smoothing = 0.1},
           compute::SquaredError(), compute::Huber{.delta = 0.5},
           compute::NegativeLogLikelihood(), compute::SoftmaxFocal(),
           compute::MulticlassHinge{.power = 2}}) {
    SpecBatch<TypeParam> narrow{4, classes, batch.logits};
    SpecBatch<double> wide{4, classes, same.logits};
    if (std::holds_alternative<compute::NegativeLogLikelihood>(spec) ||
        std::holds_alternative<compute::SoftmaxFocal>(spec) ||
        std::holds_alternative<compute::MulticlassHinge>(spec)) {
      narrow.labels = wide.labels = batch.labels;
    } else {
      for (int64_t i = 0; i < 4 * classes; ++i) {
        narrow.targets.push_back(static_cast<double>(i % 8) / 7);
      }
      wide.targets = narrow.targets;
    }
    narrow.gradient_type = ElementType::kFloat64;
    const SpecRun<TypeParam> got = MustRun(spec, narrow);
    const SpecRun<double> want = MustRun(spec, wide);
    EXPECT_EQ(got.gradient_wide, want.gradient) << spec.index();
    EXPECT_EQ(got.predictions, want.predictions) << spec.index();
  }
}

TYPED_TEST(WideGradientTest, HasTheSameBitsOnEveryKernelAndThreadCount) {
  const std::string active(compute::ActiveKernel());
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    const auto classes = static_cast<int64_t>(1 + seed * 41 % 300);
    RunSettings settings = DrawOptions(seed, 5, classes);
    settings.gradient_type = ElementType::kFloat64;
    const auto batch =
        DrawBatch<TypeParam>(Distribution::kMasked, 5, classes, seed);
    const LossRun<TypeParam> want = MustRunLoss(batch, settings);
    for (const std::string& kernel : compute::AvailableKernels()) {
      compute::SelectKernel(kernel);
      for (settings.threads = 1; settings.threads <= 3; ++settings.threads) {
        EXPECT_TRUE(SameBits(MustRunLoss(batch, settings), want))
            << "seed " << seed << ", " << kernel;
      }
    }
    compute::SelectKernel(active);
  }
}

}  // namespace
}  // namespace lossd::testing
