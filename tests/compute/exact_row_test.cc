// The engine's slow ways, which no batch of ordinary logits takes: rows made so
// that a gradient lies on, or next to, the middle of two floats. The engine is
// included for the baseline target, so that its counters can be read.
#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "hwy/highway.h"
#include "server/compute/exact/row-inl.h"
#include "tests/support/oracle.h"

namespace lossd::testing {
namespace {

using compute::RowResult;
using compute::RowScratch;
using compute::RowTask;
namespace engine = compute::HWY_NAMESPACE;

class ExactRowTest : public ::testing::Test {
 protected:
  // Computes the row and expects every number to be the oracle's.
  void ExpectExact(const std::vector<float>& logits, int64_t label,
                   double numerator, double denominator = 1.0) {
    std::vector<float> gradient(logits.size());
    RowTask task;
    task.logits = reinterpret_cast<const std::byte*>(logits.data());
    task.classes = static_cast<int64_t>(logits.size());
    task.label = label;
    task.numerator = numerator;
    task.denominator = denominator;
    task.gradient = reinterpret_cast<std::byte*>(gradient.data());
    task.wants_log_sum_exp = true;
    task.wants_row_loss = true;
    const RowResult result = engine::ComputeRow(task, scratch_, float());
    const std::vector<double> wide(logits.begin(), logits.end());
    const ExactRow want = OracleRow(wide, label, numerator, denominator);
    for (size_t i = 0; i < logits.size(); ++i) {
      EXPECT_EQ(gradient[i], RoundTo<float>(want.gradient[i])) << "class " << i;
    }
    EXPECT_EQ(result.rounded_loss, RoundTo<float>(want.loss));
    EXPECT_EQ(result.log_sum_exp, RoundTo<float>(want.log_sum_exp));
  }

  RowScratch scratch_;
};

// Half of 1 + k 2^-24 lies between two floats for odd k; ties go to even.
TEST_F(ExactRowTest, RoundsTiesToEven) {
  for (const double k : {1.0, 3.0, -1.0, -3.0, 5.0, 12345.0}) {
    const double numerator = std::copysign(1.0 + std::abs(k) * 0x1p-24, k);
    ExpectExact({0, 0}, 0, numerator);
    ExpectExact({7, 7, 7, 7}, 2, numerator);
    ExpectExact({-3, -3}, 1, 3 * numerator, 3);
  }
  EXPECT_GE(scratch_.slow_paths.ties, 12);
}

// A further class, however improbable, takes a little from the others' halves:
// the tie is broken downwards, and the label's the other way.
TEST_F(ExactRowTest, SeesWhatBreaksATie) {
  for (const float rest : {-30.0f, -60.0f, -80.0f, -100.0f, -300.0f, -699.0f,
                           -701.0f, -720.0f, -744.0f, -760.0f}) {
    for (const double k : {1.0, 3.0, -1.0, -3.0}) {
      const double numerator = std::copysign(1.0 + std::abs(k) * 0x1p-24, k);
      ExpectExact({0, 0, rest}, 0, numerator);
      ExpectExact({0, rest, 0}, 1, numerator);
      ExpectExact({rest, rest, 5, 5, 5, 5}, 3, numerator);
    }
  }
  EXPECT_GE(scratch_.slow_paths.ties, 50);
}

// The label's own gradient is near -numerator where the label is improbable.
TEST_F(ExactRowTest, SeesWhatKeepsTheLabelsGradientFromATie) {
  for (const float label : {-30.0f, -70.0f, -100.0f, -400.0f, -710.0f}) {
    ExpectExact({label, 0}, 0, 1.0 + 0x1p-24);
    ExpectExact({label, 0, -1}, 0, 1.0 + 3 * 0x1p-24);
  }
  EXPECT_GE(scratch_.slow_paths.ties, 5);
}

// m - z_y is the middle of two floats, and ln S is next to nothing.
TEST_F(ExactRowTest, SeesWhatKeepsALossFromATie) {
  for (const float below : {-1.0f, -40.0f, -90.0f}) {
    const float max = 16777216.0f;
    ExpectExact({max, below, max - 300}, 1, 1.0);
  }
  EXPECT_GE(scratch_.slow_paths.exact, 1);
}

// An offset far below the maximum, and one that is not finite.
TEST_F(ExactRowTest, FindsAnOffsetAgain) {
  ExpectExact({-500, 0, 1, 2}, 1, 1.0);
  ExpectExact({-5000, 800, 1, 799}, 3, 1.0);
  std::vector<float> masked(40, -std::numeric_limits<float>::infinity());
  masked[30] = -1000;
  masked[31] = -1001;
  ExpectExact(masked, 31, 1.0);
}

// Results below 2^-126, zero included, round once, too.
TEST_F(ExactRowTest, RoundsSubnormalResultsOnce) {
  std::vector<float> logits = {0};
  for (int i = 0; i < 600; ++i) logits.push_back(-86.0f - 0.03f * i);
  ExpectExact(logits, 0, 1.0);
  ExpectExact(logits, 17, 1.0, 7.0);
}

// Results beyond the largest float are infinite from its upper middle on.
TEST_F(ExactRowTest, OverflowsWhereRoundingDoes) {
  const double largest = std::numeric_limits<float>::max();
  const double half_ulp = 0x1p103;
  ExpectExact({0, 0}, 0, 2 * largest);
  ExpectExact({0, 0}, 0, 2 * (largest + half_ulp));
  ExpectExact({0, 0, -50}, 0, 2 * (largest + half_ulp));
}

}  // namespace
}  // namespace lossd::testing
