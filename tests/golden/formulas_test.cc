// The formulas that golden vectors come from, held to calculus: a gradient is
// the slope of the losses, a product the slope of the gradients.
#include "tests/golden/formulas.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <set>
#include <string>

#include "tests/golden/golden_json.h"
#include "tests/support/oracle.h"

namespace lossd::golden {
namespace {

// Steps of 2^-200 in numbers of a thousand bits and more: what differs from the
// slope is the curve times a step, and rounding is far below that.
constexpr int kStepExponent = -200;

mpfr_prec_t TestBits(const GoldenCase& golden) {
  return BitsFor(golden) + 1000;
}

ExactReal Scaled(const ExactReal& x, int exponent) {
  ExactReal result = x;
  mpfr_mul_2si(result.get(), result.get(), exponent, MPFR_RNDN);
  return result;
}

// Whether `slope` lies between the slopes to the left and to the right of a
// point, (at - before) / step and (after - at) / step, but for 2^-100 of
// itself. At a kink these differ, and anything between is a subgradient.
bool IsSlope(const ExactReal& slope, const ExactReal& before,
             const ExactReal& at, const ExactReal& after) {
  const ExactReal left = Scaled(at - before, -kStepExponent);
  const ExactReal right = Scaled(after - at, -kStepExponent);
  const ExactReal middle = Scaled(left + right, -1);
  return !(Abs(right - left) + Scaled(Abs(slope), -100) < Abs(slope - middle));
}

bool IsIgnored(const GoldenCase& golden, const Row& row) {
  return row.targets.empty() && row.label == golden.options.ignore_index;
}

// Calls check(golden, row, result) for every row that counts.
template <typename Check>
void ForEachRow(const Check& check) {
  for (const GoldenFile& file : GoldenFiles()) {
    for (const GoldenCase& golden : file.cases) {
      SCOPED_TRACE(NameOf(file.loss) + "/" + golden.name);
      for (int64_t r = 0; r < golden.rows; ++r) {
        const Row row = RowOf(golden, r, TestBits(golden));
        if (IsIgnored(golden, row)) continue;
        check(golden, row, ComputeRow(golden, row));
      }
    }
  }
}

// `row` with its logits moved along `direction`, by so many steps.
Row Moved(Row row, const Reals& direction, int steps) {
  const ExactReal count(row.logits[0].precision_bits(), steps);
  for (size_t i = 0; i < row.logits.size(); ++i) {
    row.logits[i] = row.logits[i] + count * Scaled(direction[i], kStepExponent);
  }
  return row;
}

TEST(GoldenFormulasTest, GradientsAreTheSlopesOfTheLosses) {
  int64_t count = 0;
  ForEachRow([&](const GoldenCase& golden, Row row, const RowResult& result) {
    row.vector.clear();
    if (!IsFinite(result.loss)) return;
    // Of long rows some will do: the cost is that of all pairs of classes.
    const size_t stride = row.logits.size() > 20 ? 11 : 1;
    for (size_t i = 0; i < row.logits.size(); i += stride) {
      if (!IsFinite(row.logits[i])) continue;
      Reals direction(row.logits.size(), ExactReal(64, 0.0));
      direction[i] = ExactReal(64, 1.0);
      EXPECT_TRUE(IsSlope(result.gradient[i],
                          ComputeRow(golden, Moved(row, direction, -1)).loss,
                          result.loss,
                          ComputeRow(golden, Moved(row, direction, 1)).loss))
          << "class " << i << ": " << DecimalOf(result.gradient[i]);
      ++count;
    }
  });
  EXPECT_GT(count, 3000);
}

TEST(GoldenFormulasTest, ProductsAreTheSlopesOfTheGradients) {
  int64_t count = 0;
  ForEachRow(
      [&](const GoldenCase& golden, const Row& row, const RowResult& result) {
        if (row.vector.empty()) return;
        const auto before = ComputeRow(golden, Moved(row, row.vector, -1));
        const auto after = ComputeRow(golden, Moved(row, row.vector, 1));
        for (size_t i = 0; i < row.logits.size(); ++i) {
          EXPECT_TRUE(IsSlope(result.product[i], before.gradient[i],
                              result.gradient[i], after.gradient[i]))
              << "class " << i << ": " << DecimalOf(result.product[i]);
          ++count;
        }
      });
  EXPECT_GT(count, 500);
}

// The one that the core's tests use, written by other hands.
TEST(GoldenFormulasTest, CrossEntropyIsTheOracles) {
  ForEachRow([&](const GoldenCase& golden, const Row& row,
                 const RowResult& result) {
    const Options& options = golden.options;
    if (golden.loss != Loss::kSoftmaxCrossEntropy || options.logit_softcap) {
      return;
    }
    std::vector<double> logits, targets;
    for (const ExactReal& z : row.logits) {
      logits.push_back(testing::RoundTo<double>(z));
    }
    for (const ExactReal& t : row.targets) {
      targets.push_back(testing::RoundTo<double>(t));
    }
    testing::RowTarget target = row.label;
    if (!targets.empty()) target = absl::MakeConstSpan(targets);
    const testing::ExactRow want = testing::OracleRow(
        logits, target,
        {.class_weights = options.class_weights,
         .label_smoothing = options.label_smoothing.value_or(0.0),
         .z_loss = options.z_loss.value_or(0.0),
         .logit_scale = options.logit_scale.value_or(1.0)});
    EXPECT_EQ(DecimalOf(result.loss), DecimalOf(want.loss));
    EXPECT_EQ(DecimalOf(*result.log_sum_exp), DecimalOf(want.log_sum_exp));
    for (size_t i = 0; i < logits.size(); ++i) {
      EXPECT_EQ(DecimalOf(result.gradient[i]), DecimalOf(want.gradient[i]));
    }
  });
}

TEST(GoldenCasesTest, HaveNamesOfTheirOwn) {
  for (const GoldenFile& file : GoldenFiles()) {
    std::set<std::string> names;
    for (const GoldenCase& golden : file.cases) {
      EXPECT_TRUE(names.insert(golden.name).second)
          << NameOf(file.loss) << "/" << golden.name;
    }
  }
}

TEST(DecimalTest, RoundsTo40Digits) {
  const ExactReal one(400, 1), three(400, 3);
  EXPECT_EQ(DecimalOf(one / three),
            "0.3333333333333333333333333333333333333333");
  EXPECT_EQ(DecimalOf(ExactReal(53, -0.5)), "-0.5");
  EXPECT_EQ(DecimalOf(ExactReal(53, -0.0)), "0");
  EXPECT_EQ(DecimalOf(ExactReal(53, 120)), "120");
  EXPECT_EQ(DecimalOf(ExactReal(53, 0x1p-20)), "9.5367431640625e-7");
  EXPECT_EQ(DecimalOf(ExactReal(53, 1e300) * three).substr(0, 4), "3.00");
  EXPECT_EQ(DecimalOf(ExactReal(53, 1) / ExactReal(53, 0.0)), "inf");
  EXPECT_EQ(DecimalOf(ExactReal(53)), "nan");
}

TEST(DecimalTest, ReadsWhatItWrites) {
  for (const double value : {0.5, -3e-310, 1e300, 0.1, 12345.0}) {
    const auto read = RealOf(DecimalOf(ExactReal(53, value)));
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(testing::RoundTo<double>(*read), value);
  }
  EXPECT_FALSE(RealOf("1.2.3").ok());
  EXPECT_FALSE(RealOf("").ok());
}

}  // namespace
}  // namespace lossd::golden
