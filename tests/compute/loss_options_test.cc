// The options' ranges, and what each of them does.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/loss_runner.h"

namespace lossd::testing {
namespace {

using ::testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

const TestBatch<double> kBatch = {2, 3, {2, 1, 0.1, 0, 0.5, -1}, {0, 2}};

absl::Status StatusOf(const RunSettings& settings) {
  return RunLoss(kBatch, settings).status();
}

void ExpectRefused(const RunSettings& settings, const std::string& message) {
  const absl::Status status = StatusOf(settings);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << message;
  EXPECT_THAT(std::string(status.message()), HasSubstr(message));
}

TEST(LossOptionsTest, TakeTheEndsOfTheirRangesAndNothingBeyond) {
  struct Range {
    const char* name;
    double compute::SoftmaxCrossEntropy::*option;
    std::vector<double> in;
    std::vector<double> out;
  };
  const double above = std::nextafter(compute::kMaxFactor, kInfinity);
  const double below = std::nextafter(compute::kMinFactor, 0);
  using Loss = compute::SoftmaxCrossEntropy;
  const Range ranges[] = {
      {"label_smoothing",
       &Loss::label_smoothing,
       {0, 1},
       {-1e-300, std::nextafter(1.0, 2), kNan, kInfinity}},
      {"z_loss",
       &Loss::z_loss,
       {0, compute::kMinFactor, compute::kMaxFactor},
       {-1e-4, below, above, kNan}},
      {"logit_scale",
       &Loss::logit_scale,
       {1e-6, 1e6},
       {0, -1, std::nextafter(1e-6, 0), std::nextafter(1e6, 1e7), kNan}}};
  for (const Range& range : ranges) {
    for (const double value : range.in) {
      RunSettings settings;
      settings.loss.*range.option = value;
      EXPECT_TRUE(StatusOf(settings).ok()) << range.name << " = " << value;
    }
    for (const double value : range.out) {
      RunSettings settings;
      settings.loss.*range.option = value;
      ExpectRefused(settings, std::string(range.name) + " = ");
    }
  }
}

TEST(LossOptionsTest, NameTheFactorThatIsOutOfRange) {
  for (const double bad :
       {-1.0, std::nextafter(compute::kMinFactor, 0),
        std::nextafter(compute::kMaxFactor, kInfinity), kNan, kInfinity}) {
    RunSettings settings;
    settings.class_weights = {0, 1, bad};
    ExpectRefused(settings, "class_weights[2] = ");
    settings = {};
    settings.row_weights = {compute::kMaxFactor, bad};
    ExpectRefused(settings, "row_weights[1] = ");
    if (bad == -1.0) continue;
    settings = {};
    settings.upstream = {-compute::kMinFactor, bad};
    ExpectRefused(settings, "upstream_gradient[1] = ");
  }
}

TEST(LossOptionsTest, NameTheProbabilityThatIsOutOfRange) {
  for (const double bad :
       {-1e-300, std::nextafter(compute::kMaxFactor, kInfinity), kNan,
        kInfinity}) {
    RunSettings settings;
    settings.target_probabilities = {0, compute::kMaxFactor, 0, 1, bad, 0};
    ExpectRefused(settings, "labels[1, 1] = ");
    ExpectRefused(settings, "(row 1, class 1)");
  }
}

TEST(LossOptionsTest, RefuseAnIgnoreIndexWithProbabilities) {
  RunSettings settings;
  settings.loss.ignore_index = -100;
  settings.target_probabilities = {1, 0, 0, 0, 1, 0};
  ExpectRefused(settings, "ignore_index = -100, want none");
}

TEST(LossOptionsTest, EachHaveAnEffect) {
  const LossRun<double> plain = MustRunLoss(kBatch);
  std::vector<RunSettings> all(7);
  all[0].class_weights = {1, 2, 3};
  all[1].loss.label_smoothing = 0.1;
  all[2].loss.z_loss = 1e-4;
  all[3].loss.logit_scale = 2;
  all[4].row_weights = {1, 3};
  all[5].target_probabilities = {0.5, 0.5, 0, 0, 0, 1};
  for (size_t i = 0; i < 6; ++i) {
    const LossRun<double> run = MustRunLoss(kBatch, all[i]);
    EXPECT_NE(*run.summary.loss, *plain.summary.loss) << i;
    EXPECT_NE(run.gradient, plain.gradient) << i;
  }
  all[6].upstream = {-2};
  const LossRun<double> run = MustRunLoss(kBatch, all[6]);
  EXPECT_EQ(*run.summary.loss, *plain.summary.loss);
  EXPECT_EQ(run.gradient[1], -2 * plain.gradient[1]);
}

// What PyTorch 1.13.1 gives for F.cross_entropy(z, y, weight, label_smoothing).
TEST(LossOptionsTest, WeighAndSmoothAsPyTorchDoes) {
  RunSettings settings;
  settings.class_weights = {1, 2, 0.5};
  settings.loss.label_smoothing = 0.1;
  const LossRun<double> run = MustRunLoss(kBatch, settings);
  // By the formula, in doubles.
  const double w[] = {1, 2, 0.5};
  double sum = 0;
  for (int r = 0; r < 2; ++r) {
    const double* z = kBatch.logits.data() + 3 * r;
    const double lse =
        std::log(std::exp(z[0]) + std::exp(z[1]) + std::exp(z[2]));
    const int64_t y = kBatch.labels[r];
    sum += 0.9 * w[y] * (lse - z[y]);
    for (int c = 0; c < 3; ++c) sum += 0.1 / 3 * w[c] * (lse - z[c]);
  }
  EXPECT_EQ(run.summary.divisor, 1.5);
  EXPECT_NEAR(*run.summary.loss, sum / 1.5, 1e-14);
}

TEST(LossOptionsTest, WeighTheDivisorByRowAndLabel) {
  RunSettings settings;
  settings.class_weights = {2, 0, 5};
  settings.row_weights = {3, 0.25};
  EXPECT_EQ(MustRunLoss(kBatch, settings).summary.divisor, 7.25);
  settings.target_probabilities = {1, 0, 0, 0, 0, 1};
  EXPECT_EQ(MustRunLoss(kBatch, settings).summary.divisor, 3.25);
}

TEST(LossOptionsTest, GiveNoGradientWhereNothingWeighsAnything) {
  RunSettings settings;
  settings.row_weights = {0, 0};
  const LossRun<double> run = MustRunLoss(kBatch, settings);
  EXPECT_EQ(run.summary.divisor, 0);
  EXPECT_EQ(run.summary.row_count, 2);
  EXPECT_TRUE(std::isnan(*run.summary.loss));
  EXPECT_EQ(run.gradient, std::vector<double>(6, 0.0));
}

TEST(LossOptionsTest, MakeNoNanOfZeroTimesInfinity) {
  const TestBatch<double> batch = {1, 3, {-kInfinity, 1, 2}, {0}};
  RunSettings settings;
  settings.row_weights = {0};
  settings.options.divisor = 1;
  EXPECT_EQ(*MustRunLoss(batch, settings).summary.loss, 0);
  settings = {};
  settings.class_weights = {0, 1, 1};
  settings.options.divisor = 1;
  EXPECT_EQ(*MustRunLoss(batch, settings).summary.loss, 0);
  settings = {};
  EXPECT_EQ(*MustRunLoss(batch, settings).summary.loss, kInfinity);
  EXPECT_EQ(MustRunLoss(batch, settings).gradient[0], -1);
  settings.target_probabilities = {0, 0.5, 0.5};
  EXPECT_TRUE(std::isfinite(*MustRunLoss(batch, settings).summary.loss));
  settings.loss.label_smoothing = 0.1;
  EXPECT_EQ(*MustRunLoss(batch, settings).summary.loss, kInfinity);
}

}  // namespace
}  // namespace lossd::testing
