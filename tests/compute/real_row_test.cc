// The way that always ends: results as real numbers, against the oracle, and
// where no number of bits would do, against what can be said beforehand.
#include "server/compute/exact/real_row.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/distributions.h"
#include "tests/support/draw_options.h"
#include "tests/support/exact_real.h"
#include "tests/support/oracle.h"

namespace lossd::testing {
namespace {

using compute::ElementType;
using compute::RealRow;
using compute::RowTask;

constexpr ElementType kTypes[] = {ElementType::kFloat16, ElementType::kBFloat16,
                                  ElementType::kFloat32, ElementType::kFloat64};

// A row of float64 logits that owns what its task points at.
struct Row {
  explicit Row(std::vector<double> row_logits, int64_t label = 0)
      : logits(std::move(row_logits)) {
    task.type = ElementType::kFloat64;
    task.logits = reinterpret_cast<const std::byte*>(logits.data());
    task.classes = static_cast<int64_t>(logits.size());
    task.label = label;
  }
  double max() const { return *std::max_element(logits.begin(), logits.end()); }
  float Gradient(int64_t i) const {
    return static_cast<float>(
        RealRow(task, max()).Gradient(i, ElementType::kFloat32));
  }
  float Loss() const {
    return static_cast<float>(RealRow(task, max()).Loss(ElementType::kFloat32));
  }

  std::vector<double> logits;
  RowTask task;
};

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Half of it is the middle between 0.5 and the next float, which is odd.
constexpr double kTie = 1.0 + 0x1p-24;

TEST(RealRowTest, RoundsLikeTheOracleWithAllOptions) {
  int64_t compared = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const auto classes = static_cast<int64_t>(1 + seed % 9);
    for (const Distribution distribution :
         {Distribution::kNormal1, Distribution::kEqual, Distribution::kMasked,
          Distribution::kDominated, Distribution::kNormal30}) {
      Random random(seed);
      const RunSettings settings = DrawOptions(seed, 1, classes);
      Row row(DrawRow<double>(distribution, classes, random),
              static_cast<int64_t>(seed) % classes);
      OracleOptions options;
      options.class_weights = settings.class_weights;
      options.label_smoothing = row.task.targets.smoothing =
          settings.loss.label_smoothing;
      options.z_loss = row.task.z_loss = settings.loss.z_loss;
      options.logit_scale = row.task.scale = settings.loss.logit_scale;
      if (!settings.class_weights.empty()) {
        row.task.targets.class_weights = settings.class_weights.data();
      }
      RowFactors factors;
      factors.row_weight = row.task.row_weight = 0.75;
      factors.upstream = row.task.upstream = -3.0;
      factors.divisor = row.task.denominator = 7.0;
      const ExactRow want =
          OracleRow(row.logits, RowTarget(row.task.label), options, factors);
      RealRow real(row.task, row.max());
      for (const ElementType type : kTypes) {
        const auto near = [&](double got, const ExactReal& exact) {
          ++compared;
          if (type != ElementType::kFloat64) {
            EXPECT_EQ(got, RoundToType(type, exact)) << seed;
          } else {
            EXPECT_LE(ErrorInUlpsOfType(type, got, exact), 0.52) << seed;
          }
        };
        for (int64_t i = 0; i < classes; ++i) {
          near(real.Gradient(i, type), want.gradient[i]);
          near(real.Probability(i, type), want.probabilities[i]);
        }
        near(real.LogSumExp(type), want.log_sum_exp);
        if (mpfr_number_p(want.loss.get())) near(real.Loss(type), want.loss);
      }
    }
  }
  EXPECT_GT(compared, 10'000);
}

TEST(RealRowTest, RoundsTiesToEven) {
  Row row({3, 3});
  row.task.upstream = kTie;
  EXPECT_EQ(row.Gradient(1), 0.5f);
  EXPECT_EQ(row.Gradient(0), -0.5f);
  row.task.upstream = 1.0 + 3 * 0x1p-24;
  EXPECT_EQ(row.Gradient(1), 0.5f + 0x1p-23f);
}

// A third class takes from both halves, however far below it lies: by more than
// any number of bits can hold.
TEST(RealRowTest, SeesWhatBreaksATieHoweverSmall) {
  for (const double below : {100.0, 745.0, 3000.0, 1e6, 1e15, 3e38, 1e300}) {
    for (const double k : {1.0, 3.0}) {
      Row row({0, 0, -below});
      row.task.upstream = 1.0 + k * 0x1p-24;
      const auto lower = static_cast<float>(0.5 + (k - 1) * 0x1p-25);
      EXPECT_EQ(row.Gradient(1), lower) << below;
      // The label's is (others / S - 1): further from 0 than a half.
      EXPECT_EQ(row.Gradient(0), -std::nextafter(lower, 1.0f)) << below;
      if (below > 200) {
        EXPECT_EQ(row.Gradient(2), 0.0f);
      }
      EXPECT_FALSE(std::signbit(row.Gradient(2)));
    }
  }
}

// p_i is next to nothing and q_i = eps / C: what is left of a tie is what p_i
// adds, and for an impossible class nothing.
TEST(RealRowTest, SeesWhatAProbabilityAddsToATarget) {
  for (const double below : {200.0, 1e4, 3e38, kInfinity}) {
    Row row({0, -below});
    row.task.targets.smoothing = 1.0;
    row.task.upstream = kTie;
    EXPECT_EQ(row.Gradient(1), -0.5f) << below;
    row.task.upstream = 1.0 + 3 * 0x1p-24;  // -q is a tie that goes away from 0
    EXPECT_EQ(row.Gradient(1),
              below == kInfinity ? -0.5f - 0x1p-23f : -0.5f - 0x1p-24f)
        << below;
  }
}

TEST(RealRowTest, IsZeroWhereTheProbabilityIsTheTarget) {
  Row row({5, 5, 5, 5});
  row.task.targets.smoothing = 1.0;
  for (const ElementType type : kTypes) {
    EXPECT_EQ(RealRow(row.task, 5).Gradient(1, type), 0.0);
  }
}

// lse = -1/2 and z_loss = 1: the total 1 + 2 z_loss lse is 0, and with a second
// class a little above it.
TEST(RealRowTest, SeesATotalThatCancels) {
  Row alone({-0.5, -kInfinity});
  alone.task.z_loss = 1.0;
  // (total - 1) p + 0: -1 times others, which is 0, plus the z-loss's part.
  EXPECT_EQ(alone.Gradient(1), 0.0f);
  for (const double below : {50.0, 80.0}) {
    Row row({-0.5, -0.5 - below});
    row.task.z_loss = 1.0;
    const ExactRow want = OracleRow(row.logits, RowTarget(int64_t{0}),
                                    {.class_weights = {},
                                     .label_smoothing = 0.0,
                                     .z_loss = 1.0,
                                     .logit_scale = 1.0});
    EXPECT_EQ(row.Gradient(1), RoundTo<float>(want.gradient[1])) << below;
  }
}

// The loss is the middle of two floats and what ln(1 + R) adds to it.
TEST(RealRowTest, SeesWhatKeepsALossFromATie) {
  const double tie = 16777217.0;  // between 2^24 and 2^24 + 2
  EXPECT_EQ(Row({tie, 0, -kInfinity}, 1).Loss(), 16777218.0f);
  EXPECT_EQ(Row({tie + 2, 0}, 1).Loss(), 16777220.0f);
  // Without the label's own exponential the tie would stand: here it does.
  Row row({tie}, 0);
  EXPECT_EQ(RealRow(row.task, tie).LogSumExp(ElementType::kFloat32),
            16777216.0);
  Row two({tie, tie - 1e9}, 0);
  EXPECT_EQ(RealRow(two.task, tie).LogSumExp(ElementType::kFloat32),
            16777218.0);
}

}  // namespace
}  // namespace lossd::testing
