// LossStream: however a batch is divided, the bits of ComputeLoss.
#include "server/compute/loss_stream.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lossd::compute {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kRows = 23;
constexpr int64_t kClasses = 37;
constexpr int64_t kRowBytes = kClasses * sizeof(float);

template <typename Value>
absl::Span<const std::byte> BytesOf(const std::vector<Value>& values) {
  return {reinterpret_cast<const std::byte*>(values.data()),
          values.size() * sizeof(Value)};
}
template <typename Value>
absl::Span<std::byte> RoomIn(std::vector<Value>& values) {
  return {reinterpret_cast<std::byte*>(values.data()),
          values.size() * sizeof(Value)};
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

absl::Status GoOn() { return absl::OkStatus(); }

// One of each loss, and whether its labels are class indices.
struct Case {
  LossSpec spec;
  bool takes_indices;
};
const Case kCases[] = {
    {SoftmaxCrossEntropy{.ignore_index = 3, .label_smoothing = 0.1}, true},
    {SoftmaxCrossEntropy{.z_loss = 0.5}, false},
    {SigmoidCrossEntropy{}, false},
    {NegativeLogLikelihood{}, true},
    {KlDivergence{.temperature = 2.0}, false},
    {SoftmaxFocal{}, true},
    {SigmoidFocal{}, false},
    {MulticlassHinge{}, true},
    {SquaredError{}, false},
    {Huber{}, false}};

class LossStreamTest : public ::testing::Test {
 protected:
  LossStreamTest() {
    std::mt19937_64 random(7);
    std::normal_distribution<float> normal(0, 3);
    std::uniform_real_distribution<float> uniform(0, 1);
    for (float& logit : logits_) logit = normal(random);
    for (float& target : targets_) target = uniform(random);
    for (int64_t& label : labels_) {
      label = static_cast<int64_t>(random() % kClasses);
    }
    for (double& weight : row_weights_) weight = 0.5 + uniform(random);
  }

  Batch BatchOf(bool takes_indices) const {
    Batch batch;
    batch.rows = kRows;
    batch.classes = kClasses;
    batch.row_weights = row_weights_;
    if (takes_indices) {
      batch.labels = ClassIndices(ClassIndices::Type::kInt64,
                                  BytesOf(labels_).data(), kRows);
    } else {
      batch.labels = FloatTargets{ElementType::kFloat32, {&targets_run_, 1}};
    }
    return batch;
  }

  std::vector<float> logits_ = std::vector<float>(kRows * kClasses);
  std::vector<float> targets_ = std::vector<float>(kRows * kClasses);
  std::vector<int64_t> labels_ = std::vector<int64_t>(kRows);
  std::vector<double> row_weights_ = std::vector<double>(kRows);
  const absl::Span<const std::byte> targets_run_ = BytesOf(targets_);
  ThreadPool pool_{2};
};

TEST_F(LossStreamTest, HasTheBitsOfTheWholeForEveryLossAndDivision) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.spec.index());
    Batch batch = BatchOf(c.takes_indices);
    const absl::Span<const std::byte> logits = BytesOf(logits_);
    batch.logits = {&logits, 1};
    std::vector<float> want(logits_.size()), want_losses(kRows);
    LossOutputs outputs;
    outputs.gradient = RoomIn(want);
    outputs.row_losses = RoomIn(want_losses);
    const auto summary = ComputeLoss(c.spec, {}, batch, outputs, pool_, GoOn);
    ASSERT_TRUE(summary.ok()) << summary.status();
    for (const int64_t chunk_rows : {1, 2, 7, 22, 23}) {
      std::vector<float> gradient(logits_.size()), losses(kRows);
      LossOutputs row_outputs;
      row_outputs.row_losses = RoomIn(losses);
      auto stream = LossStream::Start(c.spec, {}, batch, row_outputs);
      ASSERT_TRUE(stream.ok()) << stream.status();
      while (stream->rows_left() > 0) {
        const int64_t first = stream->next_row();
        const int64_t rows = std::min(chunk_rows, stream->rows_left());
        // In two pieces that part within a row.
        const auto chunk = logits.subspan(first * kRowBytes, rows * kRowBytes);
        const absl::Span<const std::byte> pieces[] = {chunk.subspan(0, 6),
                                                      chunk.subspan(6)};
        ASSERT_TRUE(stream
                        ->Add(rows, pieces,
                              RoomIn(gradient).subspan(first * kRowBytes,
                                                       rows * kRowBytes),
                              pool_, GoOn)
                        .ok());
      }
      EXPECT_TRUE(SameBits(gradient, want)) << chunk_rows;
      EXPECT_TRUE(SameBits(losses, want_losses)) << chunk_rows;
      EXPECT_EQ(stream->Summary().loss, summary->loss);
      EXPECT_EQ(stream->Summary().divisor, summary->divisor);
      EXPECT_EQ(stream->Summary().row_count, summary->row_count);
      EXPECT_EQ(stream->Summary().correct_count, summary->correct_count);
    }
  }
}

TEST_F(LossStreamTest, ChecksLabelsAtTheStart) {
  labels_[20] = kClasses;
  const auto stream =
      LossStream::Start(SoftmaxCrossEntropy{}, {}, BatchOf(true), {});
  EXPECT_THAT(std::string(stream.status().message()),
              HasSubstr("labels[20] = 37, want [0, 37)"));
}

TEST_F(LossStreamTest, CountsRowsOfErrorsFromTheBatchsFirst) {
  logits_[20 * kClasses + 5] = std::numeric_limits<float>::quiet_NaN();
  targets_[20 * kClasses + 6] = -1;
  for (const bool takes_indices : {true, false}) {
    auto stream =
        LossStream::Start(takes_indices ? LossSpec(SoftmaxCrossEntropy{})
                                        : LossSpec(SigmoidCrossEntropy{}),
                          {}, BatchOf(takes_indices), {});
    ASSERT_TRUE(stream.ok()) << stream.status();
    const absl::Span<const std::byte> logits = BytesOf(logits_);
    const auto begin = logits.subspan(0, 19 * kRowBytes);
    const auto end = logits.subspan(19 * kRowBytes);
    ASSERT_TRUE(stream->Add(19, {&begin, 1}, {}, pool_, GoOn).ok());
    const absl::Status status = stream->Add(4, {&end, 1}, {}, pool_, GoOn);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(takes_indices ? "logits[20, 5] = nan"
                                        : "labels[20, 6] = -1"));
  }
}

TEST_F(LossStreamTest, SummarizesABatchWithoutRows) {
  Batch batch;
  batch.classes = kClasses;
  const auto stream = LossStream::Start(SoftmaxCrossEntropy{}, {}, batch, {});
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_EQ(stream->rows_left(), 0);
  EXPECT_TRUE(std::isnan(*stream->Summary().loss));
  EXPECT_EQ(stream->Summary().divisor, 0.0);
}

}  // namespace
}  // namespace lossd::compute
