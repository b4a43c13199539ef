// With options, too, neither threads, batch neighbours, layout in memory nor
// the instruction set change a bit of the results.
#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "server/compute/kernel.h"
#include "server/compute/narrow_float.h"
#include "tests/support/batch_parts.h"
#include "tests/support/draw_options.h"
#include "tests/support/elements.h"
#include "tests/support/loss_runner.h"

namespace lossd::testing {
namespace {

using compute::Reduction;

// A sum, or a mean by a divisor of its own: the same for parts of a batch.
void MakeComparable(RunSettings& settings) {
  if (settings.options.reduction == Reduction::kNone) {
    settings.options.reduction = Reduction::kSum;
  }
  if (settings.options.reduction == Reduction::kMean &&
      !settings.options.divisor.has_value()) {
    settings.options.divisor = 7;
  }
}

// Every other row has masks and every fifth is ignored, if any is.
template <typename T>
TestBatch<T> MixedBatch(int64_t rows, int64_t classes, uint64_t seed,
                        const RunSettings& settings) {
  auto batch = DrawBatch<T>(Distribution::kNormal5, rows, classes, seed);
  const auto masked = DrawBatch<T>(Distribution::kMasked, rows, classes, seed);
  for (int64_t r = 0; r < rows; ++r) {
    if (r % 2 == 1) {
      std::copy_n(masked.logits.begin() + r * classes, classes,
                  batch.logits.begin() + r * classes);
    }
    if (r % 5 == 2 && settings.loss.ignore_index.has_value()) {
      batch.labels[r] = *settings.loss.ignore_index;
    }
  }
  return batch;
}

template <typename T>
class OptionsBitsTest : public ::testing::Test {};
using Types =
    ::testing::Types<float, double, compute::Float16, compute::BFloat16>;
TYPED_TEST_SUITE(OptionsBitsTest, Types);

TYPED_TEST(OptionsBitsTest, DoNotDependOnThreads) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    for (const auto& [rows, classes] :
         {std::pair<int64_t, int64_t>{1200, 60}, {9, 7000}}) {
      RunSettings settings = DrawOptions(seed, rows, classes);
      const auto batch = MixedBatch<TypeParam>(rows, classes, seed, settings);
      const LossRun<TypeParam> want = MustRunLoss(batch, settings);
      for (settings.threads = 2; settings.threads <= 4; ++settings.threads) {
        EXPECT_TRUE(SameBits(MustRunLoss(batch, settings), want))
            << "seed " << seed << ", " << classes << " classes, "
            << settings.threads << " threads";
      }
    }
  }
}

// Rows of several spans, which threads share where there are more of them than
// rows.
TYPED_TEST(OptionsBitsTest, DoNotDependOnThreadsThatShareARow) {
  for (const int64_t classes : {32769, 70'001}) {
    for (const uint64_t seed : {3, 8, 12, 21}) {  // labels and probabilities
      RunSettings settings = DrawOptions(seed, 2, classes);
      settings.loss.label_smoothing = 0.1;
      const auto batch = MixedBatch<TypeParam>(2, classes, seed, settings);
      const LossRun<TypeParam> want = MustRunLoss(batch, settings);
      for (settings.threads = 2; settings.threads <= 4; ++settings.threads) {
        EXPECT_TRUE(SameBits(MustRunLoss(batch, settings), want))
            << "seed " << seed << ", " << classes << " classes, "
            << settings.threads << " threads";
      }
    }
  }
}

TYPED_TEST(OptionsBitsTest, DoNotDependOnNeighboursInTheBatch) {
  for (uint64_t seed = 1; seed <= 16; ++seed) {
    const auto classes = static_cast<int64_t>(1 + seed * 13 % 60);
    RunSettings settings = DrawOptions(seed, 24, classes);
    MakeComparable(settings);
    const auto batch = MixedBatch<TypeParam>(24, classes, seed, settings);
    const LossRun<TypeParam> whole = MustRunLoss(batch, settings);
    for (const int64_t part_rows : {1, 5}) {
      LossRun<TypeParam> joined = RunInParts(batch, settings, part_rows);
      // Parts of one row have the rows' losses, which add up to the same bits.
      if (part_rows > 1 || settings.options.reduction == Reduction::kMean) {
        joined.summary.loss = whole.summary.loss;
      }
      EXPECT_TRUE(SameBits(whole, joined))
          << "seed " << seed << ", " << part_rows << " rows in a part";
    }
  }
}

// What a thread found out about a row serves it for the next one. The loss is
// the one result that is not rounded to the logits' type, so any way to compute
// it must give the same double.
TYPED_TEST(OptionsBitsTest, OfTheLossDoNotDependOnTheRowBefore) {
  constexpr int64_t kRows = 400;
  constexpr int64_t kClasses = 12;
  RunSettings settings;
  settings.options.reduction = Reduction::kSum;
  settings.outputs = 0;
  auto clean = DrawBatch<TypeParam>(Distribution::kNormal1, kRows, kClasses, 1);
  for (TypeParam& logit : clean.logits) {
    logit = compute::FromDouble<TypeParam>(Wide(logit) + 70);  // to cancel
  }
  TestBatch<TypeParam> masked = RowsOf(clean, 0, 1);
  masked.logits[0] = compute::FromDouble<TypeParam>(-1000);
  for (int64_t r = 0; r < kRows; ++r) {
    const TestBatch<TypeParam> row = RowsOf(clean, r, r + 1);
    settings.loss.label_smoothing = 0.1 + 0.008 * static_cast<double>(r % 100);
    MustRunLoss(RowsOf(clean, 0, 1), settings);
    const LossRun<TypeParam> after_clean = MustRunLoss(row, settings);
    MustRunLoss(masked, settings);
    EXPECT_TRUE(SameBits(MustRunLoss(row, settings), after_clean))
        << "row " << r;
  }
}

template <typename T>
std::vector<LossRun<T>> RunManyOptions() {
  std::vector<LossRun<T>> runs;
  for (uint64_t seed = 1; seed <= 42; ++seed) {
    const Distribution distribution =
        AllDistributions()[seed % AllDistributions().size()];
    const auto classes = static_cast<int64_t>(1 + seed * seed * 7 % 150);
    runs.push_back(MustRunLoss(DrawBatch<T>(distribution, 3, classes, seed),
                               DrawOptions(seed, 3, classes)));
  }
  for (const uint64_t seed : {3, 8}) {
    runs.push_back(
        MustRunLoss(DrawBatch<T>(Distribution::kNormal5, 1, 40'001, seed),
                    DrawOptions(seed, 1, 40'001)));
  }
  return runs;
}

TYPED_TEST(OptionsBitsTest, DoNotDependOnTheInstructionSet) {
  const std::string best(compute::ActiveKernel());
  const std::vector<LossRun<TypeParam>> want = RunManyOptions<TypeParam>();
  for (const std::string& kernel : compute::AvailableKernels()) {
    compute::SelectKernel(kernel);
    const std::vector<LossRun<TypeParam>> runs = RunManyOptions<TypeParam>();
    for (size_t i = 0; i < runs.size(); ++i) {
      ASSERT_TRUE(SameBits(runs[i], want[i])) << kernel << ", run " << i;
    }
  }
  compute::SelectKernel(best);
}

// Settings with target probabilities of each type.
std::vector<RunSettings> ProbabilitySettings(int64_t rows, int64_t classes) {
  std::vector<RunSettings> all;
  for (uint64_t seed = 1; all.size() < 4; ++seed) {
    RunSettings settings = DrawOptions(seed, rows, classes);
    if (settings.target_probabilities.empty()) continue;
    settings.target_type = static_cast<compute::ElementType>(all.size());
    all.push_back(settings);
  }
  return all;
}

TYPED_TEST(OptionsBitsTest, DoNotDependOnAlignment) {
  for (const int64_t classes : {1, 5, 37}) {
    const auto batch =
        DrawBatch<TypeParam>(Distribution::kNormal5, 3, classes, 17);
    for (RunSettings settings : ProbabilitySettings(3, classes)) {
      const LossRun<TypeParam> want = MustRunLoss(batch, settings);
      for (settings.input_offset = 0; settings.input_offset < 8;
           ++settings.input_offset) {
        for (settings.output_offset = 0; settings.output_offset < 8;
             ++settings.output_offset) {
          EXPECT_TRUE(SameBits(MustRunLoss(batch, settings), want))
              << classes << " classes, offsets " << settings.input_offset
              << " and " << settings.output_offset;
        }
      }
    }
  }
}

TYPED_TEST(OptionsBitsTest, DoNotDependOnWhereTargetsAreCut) {
  constexpr int64_t kClasses = 21;
  const auto batch =
      DrawBatch<TypeParam>(Distribution::kNormal5, 4, kClasses, 17);
  for (RunSettings settings : ProbabilitySettings(4, kClasses)) {
    const LossRun<TypeParam> want = MustRunLoss(batch, settings);
    const int64_t bytes =
        4 * kClasses * compute::ElementBytes(settings.target_type);
    for (int64_t cut = 0; cut <= bytes; ++cut) {
      settings.target_cuts = {static_cast<size_t>(cut)};
      // Logits and targets are gathered apart from each other.
      settings.cuts = {batch.logits.size()};
      settings.input_offset = cut % 5;
      EXPECT_TRUE(SameBits(MustRunLoss(batch, settings), want)) << "at " << cut;
    }
    // A byte in each piece, and empty pieces.
    settings.target_cuts = {0, 0};
    for (int64_t cut = 1; cut < bytes; ++cut) {
      settings.target_cuts.push_back(cut);
    }
    settings.target_cuts.push_back(bytes);
    EXPECT_TRUE(SameBits(MustRunLoss(batch, settings), want));
  }
}

TYPED_TEST(OptionsBitsTest, DoNotDependOnTheOutputsAskedFor) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    const auto classes = static_cast<int64_t>(1 + seed * 29 % 90);
    RunSettings settings = DrawOptions(seed, 5, classes);
    const auto batch = MixedBatch<TypeParam>(5, classes, seed, settings);
    const LossRun<TypeParam> all = MustRunLoss(batch, settings);
    for (settings.outputs = 0; settings.outputs <= kAllOutputs;
         ++settings.outputs) {
      LossRun<TypeParam> want = all;
      if (!(settings.outputs & kGradient)) {
        want.gradient.clear();
        want.gradient_wide.clear();
      }
      if (!(settings.outputs & kRowLosses)) want.row_losses.clear();
      if (!(settings.outputs & kLogSumExp)) want.log_sum_exp.clear();
      if (!(settings.outputs & kPredictions)) want.predictions.clear();
      if (!(settings.outputs & kProbabilities)) want.probabilities.clear();
      if (!(settings.outputs & kLogProbabilities)) {
        want.log_probabilities.clear();
      }
      EXPECT_TRUE(SameBits(MustRunLoss(batch, settings), want))
          << "seed " << seed << ", outputs " << settings.outputs;
    }
  }
}

}  // namespace
}  // namespace lossd::testing
