// The options' ranges, and the errors beyond them.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/compute/error.h"
#include "tests/support/loss_runner.h"

namespace lossd::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Pair;

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

TEST(LossOptionsTest, TakeFactorsAtTheEndsOfTheirRange) {
  for (const double end : {0.0, compute::kMinFactor, compute::kMaxFactor}) {
    RunSettings settings;
    settings.class_weights = {end, 1, end};
    settings.row_weights = {end, end};
    settings.upstream = {end, -end};
    EXPECT_TRUE(StatusOf(settings).ok()) << end;
    settings.upstream = {-end};
    settings.target_probabilities = {end, 0, 1, 0.5, end, -0.0};
    EXPECT_TRUE(StatusOf(settings).ok()) << end;
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

// What a program reads, not a person.
TEST(LossOptionsTest, SayWhatIsWrongInPartsToo) {
  const auto expect = [](const RunSettings& settings, const std::string& reason,
                         const std::string& field, const std::string& key,
                         const std::string& value) {
    const compute::ErrorDetails details =
        compute::DetailsOf(StatusOf(settings));
    EXPECT_EQ(details.reason, reason);
    EXPECT_EQ(details.field, field);
    EXPECT_THAT(details.metadata, Contains(Pair(key, value))) << field;
  };
  RunSettings settings;
  settings.loss.label_smoothing = 1.5;
  expect(settings, "OPTION_OUT_OF_RANGE", "label_smoothing", "value", "1.5");
  settings = {};
  settings.loss.z_loss = -1;
  expect(settings, "OPTION_OUT_OF_RANGE", "z_loss", "value", "-1");
  settings = {};
  settings.loss.logit_scale = 0;
  expect(settings, "OPTION_OUT_OF_RANGE", "logit_scale", "value", "0");
  settings = {};
  settings.loss.logit_softcap = 2e6;
  expect(settings, "OPTION_OUT_OF_RANGE", "logit_softcap", "value", "2e+06");
  settings = {};
  settings.class_weights = {1, -2, -3};
  expect(settings, "OPTION_OUT_OF_RANGE", "class_weights", "index", "1");
  expect(settings, "OPTION_OUT_OF_RANGE", "class_weights", "value", "-2");
  settings = {};
  settings.row_weights = {1, -2};
  expect(settings, "OPTION_OUT_OF_RANGE", "row_weights", "index", "1");
  settings = {};
  settings.upstream = {kNan};
  expect(settings, "OPTION_OUT_OF_RANGE", "upstream_gradient", "index", "0");
  settings = {};
  settings.target_probabilities = {1, 0, 0, 0, 0, -0.5};
  expect(settings, "TARGET_OUT_OF_RANGE", "labels", "row", "1");
  expect(settings, "TARGET_OUT_OF_RANGE", "labels", "class", "2");
  expect(settings, "TARGET_OUT_OF_RANGE", "labels", "value", "-0.5");
  settings.target_probabilities = {1, 0, 0, 0, 0, 1};
  settings.loss.ignore_index = 3;
  expect(settings, "IGNORE_INDEX_WITH_PROBABILITIES", "ignore_index",
         "ignore_index", "3");
}

// Whichever thread finds which first, and of whatever type they are.
TEST(LossOptionsTest, NameTheFirstProbabilityOutOfRange) {
  constexpr int64_t kRows = 5000;
  const auto batch = DrawBatch<float>(Distribution::kNormal1, kRows, 21, 1);
  for (const auto type :
       {compute::ElementType::kFloat16, compute::ElementType::kBFloat16,
        compute::ElementType::kFloat32, compute::ElementType::kFloat64}) {
    RunSettings settings;
    settings.target_type = type;
    settings.target_probabilities.assign(kRows * 21, 0.25);
    for (int64_t r = 1234; r < kRows; r += 7) {
      settings.target_probabilities[r * 21 + 20] = -0.5;
    }
    settings.target_probabilities[1234 * 21 + 17] = kNan;
    for (settings.threads = 1; settings.threads <= 4; settings.threads += 3) {
      const absl::Status status = RunLoss(batch, settings).status();
      EXPECT_THAT(std::string(status.message()),
                  HasSubstr("labels[1234, 17] = nan, want [0, 2^100]"));
    }
  }
}

TEST(LossOptionsTest, NameTheFirstRowWhateverIsWrongInIt) {
  auto batch = DrawBatch<float>(Distribution::kNormal1, 3000, 21, 1);
  RunSettings settings;
  settings.target_probabilities.assign(batch.logits.size(), 0.5);
  settings.target_probabilities[1000 * 21] = 2e30;  // above 2^100
  batch.logits[999 * 21 + 3] = std::nanf("");
  batch.logits[1001 * 21 + 3] = std::nanf("");
  for (settings.threads = 1; settings.threads <= 2; ++settings.threads) {
    EXPECT_THAT(std::string(RunLoss(batch, settings).status().message()),
                HasSubstr("logits[999, 3] = nan"));
  }
  batch.logits[999 * 21 + 3] = 0;
  for (settings.threads = 1; settings.threads <= 2; ++settings.threads) {
    EXPECT_THAT(std::string(RunLoss(batch, settings).status().message()),
                HasSubstr("labels[1000, 0] = 2e+30"));
  }
  // Propagated: NaN among the logits is no error, a target still is.
  settings.options.non_finite_policy = compute::NonFinitePolicy::kPropagate;
  EXPECT_THAT(std::string(RunLoss(batch, settings).status().message()),
              HasSubstr("labels[1000, 0] = 2e+30"));
  settings.target_probabilities[1000 * 21] = 0;
  EXPECT_TRUE(RunLoss(batch, settings).ok());
}

TEST(LossOptionsTest, RefuseAnIgnoreIndexWithProbabilities) {
  RunSettings settings;
  settings.loss.ignore_index = -100;
  settings.target_probabilities = {1, 0, 0, 0, 1, 0};
  ExpectRefused(settings, "ignore_index = -100, want none");
}

}  // namespace
}  // namespace lossd::testing
