#include "client/lossctl/random_batch.h"

#include <numeric>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lossd::lossctl {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::Ge;
using ::testing::IsEmpty;
using ::testing::Le;

TEST(RandomBatchTest, HasExactlyWhatTheLossTakes) {
  for (const std::string& name : LossNames()) {
    const LossSpec loss = *LossNamed(name);
    const RandomBatch batch = DrawBatch(loss, false, 5, 4, 1);
    EXPECT_EQ(batch.logits.size(), 20);
    const bool targets = LabelKindOf(loss) == LabelKind::kTargets;
    EXPECT_EQ(batch.labels.size(), targets ? 0 : 5) << name;
    EXPECT_EQ(batch.targets.size(), targets ? 20 : 0) << name;
    EXPECT_THAT(batch.labels, Each(AllOf(Ge(0), Le(3))));
  }
}

TEST(RandomBatchTest, IsTheSameForTheSameSeedOnly) {
  const auto logits = [](uint64_t seed) {
    return DrawBatch(SquaredError{}, false, 3, 3, seed).logits;
  };
  EXPECT_EQ(logits(7), logits(7));
  EXPECT_NE(logits(7), logits(8));
}

TEST(RandomBatchTest, GivesSoftmaxProbabilitiesThatAddUpToOneWhenAsked) {
  const RandomBatch batch = DrawBatch(SoftmaxCrossEntropy{}, true, 2, 5, 1);
  EXPECT_THAT(batch.labels, IsEmpty());
  ASSERT_EQ(batch.targets.size(), 10);
  EXPECT_THAT(batch.targets, Each(Ge(0)));
  for (const int row : {0, 1}) {
    const auto first = batch.targets.begin() + row * 5;
    EXPECT_NEAR(std::accumulate(first, first + 5, 0.0), 1.0, 1e-12);
  }
}

TEST(RandomBatchTest, KeepsTargetsInTheLossesRanges) {
  for (const LossSpec& loss : std::vector<LossSpec>{
           SigmoidCrossEntropy{}, SigmoidFocal{}, KlDivergence{}}) {
    EXPECT_THAT(DrawBatch(loss, false, 20, 20, 1).targets,
                Each(AllOf(Ge(0), Le(1))));
  }
  const auto teacher =
      DrawBatch(KlDivergence{.targets_are_logits = true}, false, 20, 20, 1);
  EXPECT_THAT(teacher.targets, ::testing::Contains(Le(-1)));
}

TEST(RandomBatchTest, GivesEveryThirdRowTheIgnoreIndex) {
  for (const LossSpec& loss :
       std::vector<LossSpec>{SoftmaxCrossEntropy{.ignore_index = -9},
                             NegativeLogLikelihood{.ignore_index = -9},
                             SoftmaxFocal{.ignore_index = -9}}) {
    const auto labels = DrawBatch(loss, false, 7, 3, 1).labels;
    for (size_t row = 0; row < labels.size(); ++row) {
      EXPECT_EQ(labels[row] == -9, row % 3 == 2);
    }
  }
}

TEST(MeanDenominatorTest, SumsTheWeightsOfCountedRows) {
  const std::vector<int64_t> labels = {0, 2, 1, 2};
  const std::vector<double> class_weights = {1, 10, 100};
  const std::vector<double> row_weights = {1, 2, 3, 0.5};
  Batch<double> batch = {.rows = 4, .classes = 3, .labels = labels};
  EXPECT_EQ(MeanDenominator(MulticlassHinge{}, batch), 4);
  EXPECT_EQ(MeanDenominator(SoftmaxFocal{.ignore_index = 2}, batch), 2);
  const SoftmaxCrossEntropy weighted = {.class_weights = class_weights,
                                        .ignore_index = 1};
  EXPECT_EQ(MeanDenominator(weighted, batch), 201);
  batch.row_weights = row_weights;
  EXPECT_EQ(MeanDenominator(weighted, batch), 251);
}

// As in PyTorch, class weights do not enter where targets are probabilities.
TEST(MeanDenominatorTest, SumsTheRowWeightsWithTargets) {
  const std::vector<double> targets(6, 1.0 / 3);
  const std::vector<double> class_weights = {1, 10, 100};
  const std::vector<double> row_weights = {0.25, 2};
  Batch<double> batch = {.rows = 2, .classes = 3, .targets = targets};
  const SoftmaxCrossEntropy weighted = {.class_weights = class_weights};
  EXPECT_EQ(MeanDenominator(weighted, batch), 2);
  batch.row_weights = row_weights;
  EXPECT_EQ(MeanDenominator(weighted, batch), 2.25);
}

}  // namespace
}  // namespace lossd::lossctl
