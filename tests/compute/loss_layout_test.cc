// Where inputs and outputs lie in memory changes no bit of the results.
#include <algorithm>

#include "gtest/gtest.h"
#include "server/compute/narrow_float.h"
#include "tests/support/loss_runner.h"

namespace lossd::testing {
namespace {

template <typename T>
class LayoutTest : public ::testing::Test {
 protected:
  static TestBatch<T> Batch(int64_t rows, int64_t classes) {
    return DrawBatch<T>(Distribution::kNormal5, rows, classes, 17);
  }
};
using Types =
    ::testing::Types<float, double, compute::Float16, compute::BFloat16>;
TYPED_TEST_SUITE(LayoutTest, Types);

TYPED_TEST(LayoutTest, AlignmentOfInputAndOutputChangesNothing) {
  for (int64_t classes : {1, 2, 5, 16, 37, 70}) {
    const TestBatch<TypeParam> batch = this->Batch(3, classes);
    const LossRun<TypeParam> want = MustRunLoss(batch);
    for (size_t input = 0; input < 8; ++input) {
      for (size_t output = 0; output < 8; ++output) {
        RunSettings settings;
        settings.input_offset = input;
        settings.output_offset = output;
        EXPECT_TRUE(SameBits(MustRunLoss(batch, settings), want))
            << classes << " classes, offsets " << input << " and " << output;
      }
    }
  }
}

TYPED_TEST(LayoutTest, UnalignedNarrowLabelsAreReadRight) {
  const TestBatch<TypeParam> batch = this->Batch(9, 5);
  RunSettings settings;
  settings.label_type = compute::ClassIndices::Type::kInt32;
  for (settings.input_offset = 0; settings.input_offset < 4;
       ++settings.input_offset) {
    EXPECT_TRUE(SameBits(MustRunLoss(batch, settings), MustRunLoss(batch)));
  }
}

TYPED_TEST(LayoutTest, CutAtAnyByteChangesNothing) {
  const TestBatch<TypeParam> batch = this->Batch(4, 21);
  const LossRun<TypeParam> want = MustRunLoss(batch);
  RunSettings settings;
  for (size_t cut = 0; cut <= batch.logits.size() * sizeof(TypeParam); ++cut) {
    settings.cuts = {cut};
    settings.input_offset = cut % 5;
    EXPECT_TRUE(SameBits(MustRunLoss(batch, settings), want)) << "at " << cut;
  }
}

TYPED_TEST(LayoutTest, AnyTwoCutsChangeNothing) {
  const TestBatch<TypeParam> batch = this->Batch(3, 3);
  const LossRun<TypeParam> want = MustRunLoss(batch);
  const size_t bytes = batch.logits.size() * sizeof(TypeParam);
  RunSettings settings;
  for (size_t first = 0; first <= bytes; ++first) {
    for (size_t second = first; second <= bytes; ++second) {
      settings.cuts = {first, second};
      ASSERT_TRUE(SameBits(MustRunLoss(batch, settings), want))
          << "at " << first << " and " << second;
    }
  }
}

TYPED_TEST(LayoutTest, OneByteInEachPieceChangesNothing) {
  const TestBatch<TypeParam> batch = this->Batch(5, 7);
  RunSettings settings;
  for (size_t cut = 1; cut < batch.logits.size() * sizeof(TypeParam); ++cut) {
    settings.cuts.push_back(cut);
  }
  EXPECT_TRUE(SameBits(MustRunLoss(batch, settings), MustRunLoss(batch)));
}

TYPED_TEST(LayoutTest, EmptyPiecesChangeNothing) {
  const TestBatch<TypeParam> batch = this->Batch(4, 3);
  const size_t bytes = batch.logits.size() * sizeof(TypeParam);
  RunSettings settings;
  settings.cuts = {
      0,     0,    5, 5, 5, 3 * sizeof(TypeParam), 3 * sizeof(TypeParam),
      bytes, bytes};
  std::sort(settings.cuts.begin(), settings.cuts.end());
  EXPECT_TRUE(SameBits(MustRunLoss(batch, settings), MustRunLoss(batch)));
}

TYPED_TEST(LayoutTest, PiecesAreSharedByThreads) {
  const TestBatch<TypeParam> batch = this->Batch(3000, 100);
  RunSettings settings;
  settings.threads = 4;
  for (size_t cut = 999; cut < batch.logits.size() * sizeof(TypeParam);
       cut += 16383) {
    settings.cuts.push_back(cut);
  }
  EXPECT_TRUE(SameBits(MustRunLoss(batch, settings), MustRunLoss(batch)));
}

TYPED_TEST(LayoutTest, PiecesOfNoRowsAreNone) {
  const TestBatch<TypeParam> batch{0, 4, {}, {}};
  RunSettings settings;
  settings.cuts = {0, 0};
  EXPECT_EQ(MustRunLoss(batch, settings).summary.row_count, 0);
}

TYPED_TEST(LayoutTest, EachSetOfOutputsHasTheSameBits) {
  for (Distribution distribution :
       {Distribution::kNormal5, Distribution::kMasked}) {
    for (int64_t classes : {1, 3, 33, 2049, 5000}) {
      auto batch = DrawBatch<TypeParam>(distribution, 5, classes, 3);
      batch.labels[3] = -1;
      RunSettings settings;
      settings.loss.ignore_index = -1;
      const LossRun<TypeParam> all = MustRunLoss(batch, settings);
      for (settings.outputs = 0; settings.outputs <= kAllOutputs;
           ++settings.outputs) {
        LossRun<TypeParam> want = all;
        if (!(settings.outputs & kGradient)) want.gradient.clear();
        if (!(settings.outputs & kRowLosses)) want.row_losses.clear();
        if (!(settings.outputs & kLogSumExp)) want.log_sum_exp.clear();
        if (!(settings.outputs & kPredictions)) want.predictions.clear();
        if (!(settings.outputs & kProbabilities)) want.probabilities.clear();
        if (!(settings.outputs & kLogProbabilities)) {
          want.log_probabilities.clear();
        }
        EXPECT_TRUE(SameBits(MustRunLoss(batch, settings), want))
            << classes << " classes, outputs " << settings.outputs;
      }
    }
  }
}

}  // namespace
}  // namespace lossd::testing
