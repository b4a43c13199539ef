// The way that always ends, of capped logits, against the oracle.
#include "server/compute/exact/capped_real_row.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/distributions.h"
#include "tests/support/draw_options.h"
#include "tests/support/exact_real.h"
#include "tests/support/oracle.h"

namespace lossd::testing {
namespace {

using compute::CappedLogits;
using compute::CappedRealRow;
using compute::ElementType;
using compute::RowTask;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A row of float64 logits, capped, that owns what its task points at.
class Row {
 public:
  Row(std::vector<double> logits, double cap, double scale = 1.0)
      : logits_(std::move(logits)) {
    task_.type = ElementType::kFloat64;
    task_.logits = reinterpret_cast<const std::byte*>(logits_.data());
    task_.classes = static_cast<int64_t>(logits_.size());
    task_.label = 0;
    task_.scale = scale;
    // Which exponentials are worth a look; the results come from the logits.
    for (const double z : logits_) {
      const double below =
          scale * cap * (std::tanh(z / cap) - std::tanh(max() / cap));
      below_.push_back(std::isinf(z) ? -kInfinity : below);
    }
    capped_.cap = cap;
    capped_.below = below_.data();
    task_.capped = &capped_;
  }
  Row(const Row&) = delete;
  Row& operator=(const Row&) = delete;

  const std::vector<double>& logits() const { return logits_; }
  double max() const {
    return *std::max_element(logits_.begin(), logits_.end());
  }
  RowTask& task() { return task_; }

 private:
  std::vector<double> logits_;
  std::vector<double> below_;
  CappedLogits capped_;
  RowTask task_;
};

void ExpectNear(double got, const ExactReal& want, ElementType type) {
  EXPECT_LE(ErrorInUlpsOfType(type, got, want), 0.51)
      << got << ", want " << RoundToType(type, want);
}

TEST(CappedRealRowTest, RoundsLikeTheOracleWithAllOptions) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    const auto classes = static_cast<int64_t>(1 + seed % 7);
    for (const Distribution distribution :
         {Distribution::kNormal1, Distribution::kEqual, Distribution::kMasked,
          Distribution::kDominated, Distribution::kNormal30}) {
      Random random(seed);
      const RunSettings settings = DrawCappedOptions(seed, 1, classes);
      const compute::SoftmaxCrossEntropy& loss = settings.loss;
      Row row(DrawRow<double>(distribution, classes, random),
              *loss.logit_softcap, loss.logit_scale);
      RowTask& task = row.task();
      task.label = std::max_element(row.logits().begin(), row.logits().end()) -
                   row.logits().begin();
      task.targets.smoothing =
          distribution == Distribution::kMasked ? 0.0 : loss.label_smoothing;
      task.z_loss = loss.z_loss;
      task.row_weight = 0.75;
      task.upstream = -3.0;
      task.denominator = 7.0;
      if (!settings.class_weights.empty()) {
        task.targets.class_weights = settings.class_weights.data();
      }
      const ExactRow want =
          OracleRow(row.logits(), RowTarget(task.label),
                    {.class_weights = settings.class_weights,
                     .label_smoothing = task.targets.smoothing,
                     .z_loss = loss.z_loss,
                     .logit_scale = loss.logit_scale,
                     .logit_softcap = loss.logit_softcap},
                    {.row_weight = 0.75, .upstream = -3.0, .divisor = 7.0});
      CappedRealRow real(task, row.max());
      for (const ElementType type :
           {ElementType::kFloat64, ElementType::kFloat32}) {
        for (int64_t i = 0; i < classes; ++i) {
          ExpectNear(real.Gradient(i, type), want.gradient[i], type);
          ExpectNear(real.Probability(i, type), want.probabilities[i], type);
          if (std::isinf(row.logits()[i])) continue;
          ExpectNear(real.LogProbability(i, type), want.log_probabilities[i],
                     type);
        }
        ExpectNear(real.LogSumExp(type), want.log_sum_exp, type);
        ExpectNear(real.Loss(type), want.loss, type);
      }
    }
  }
}

// Equal logits have equal probabilities, whatever the cap: a gradient of
// targets that are those is exactly 0, which no number of bits would show.
TEST(CappedRealRowTest, FindsGradientsOfZero) {
  Row row({0.7, 0.7, 0.7}, 2.0);
  row.task().targets.smoothing = 1.0;
  CappedRealRow real(row.task(), row.max());
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(real.Gradient(i, ElementType::kFloat64), 0.0);
  }
  Row one({0.7}, 2.0);
  CappedRealRow alone(one.task(), one.max());
  EXPECT_EQ(alone.Gradient(0, ElementType::kFloat64), 0.0);
  EXPECT_EQ(alone.Loss(ElementType::kFloat64), 0.0);
  EXPECT_EQ(alone.Probability(0, ElementType::kFloat64), 1.0);
}

// A slope of exp(-1400), raised by factors into float64's range.
TEST(CappedRealRowTest, KnowsSlopesThatPairsDoNot) {
  Row row({700.0, 699.0, -700.0}, 1.0, 1e6);
  RowTask& task = row.task();
  task.upstream = 0x1p100;
  task.row_weight = 0x1p100;
  task.denominator = 1e-300;
  const ExactRow want = OracleRow(
      row.logits(), RowTarget(int64_t{0}),
      {.logit_scale = 1e6, .logit_softcap = 1.0},
      {.row_weight = 0x1p100, .upstream = 0x1p100, .divisor = 1e-300});
  CappedRealRow real(task, row.max());
  for (int64_t i = 0; i < 2; ++i) {
    const double gradient = real.Gradient(i, ElementType::kFloat64);
    ExpectNear(gradient, want.gradient[i], ElementType::kFloat64);
    EXPECT_NE(gradient, 0.0) << i;
  }
}

// Next to 0 tanh loses all its bits to 1 - E; more of them bring it back.
TEST(CappedRealRowTest, KnowsTheSmallestLogits) {
  for (const double z : {1e-300, -4e-320, 0.0}) {
    Row row({z}, 1e6);
    CappedRealRow real(row.task(), row.max());
    EXPECT_EQ(real.LogSumExp(ElementType::kFloat64), z);
  }
}

}  // namespace
}  // namespace lossd::testing
