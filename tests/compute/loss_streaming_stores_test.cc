// Gradients large enough to be written past the caches: the same bits as those
// of their rows one by one, which are not.
#include <string>

#include "gtest/gtest.h"
#include "tests/support/loss_runner.h"

namespace lossd::testing {
namespace {

// A few bytes over 16 MiB in an odd shape: row after row begins elsewhere in a
// line.
constexpr int64_t kRows = 85;
constexpr int64_t kClasses = 49999;

class LargeGradientTest : public ::testing::TestWithParam<size_t> {};

INSTANTIATE_TEST_SUITE_P(OutputOffsets, LargeGradientTest,
                         ::testing::Values(0, 1, 4, 60));

TEST_P(LargeGradientTest, HasTheBitsOfItsRows) {
  TestBatch<float> batch =
      DrawBatch<float>(Distribution::kNormal5, kRows, kClasses, 1);
  batch.labels[3] = -1;
  RunSettings settings;
  settings.loss.ignore_index = -1;
  settings.options.divisor = kRows;
  settings.outputs = kGradient | kRowLosses;
  settings.output_offset = GetParam();
  for (settings.threads = 1; settings.threads <= 2; ++settings.threads) {
    const LossRun<float> whole = MustRunLoss(batch, settings);
    for (int64_t r = 0; r < kRows; r += 7) {
      const auto begin = batch.logits.begin() + r * kClasses;
      const TestBatch<float> row = {
          1, kClasses, {begin, begin + kClasses}, {batch.labels[r]}};
      const LossRun<float> one = MustRunLoss(row, settings);
      const auto g = whole.gradient.begin() + r * kClasses;
      EXPECT_TRUE(SameBits({g, g + kClasses}, one.gradient)) << "row " << r;
      EXPECT_EQ(whole.row_losses[r], one.row_losses[0]) << "row " << r;
    }
  }
}

}  // namespace
}  // namespace lossd::testing
