#include "tests/support/oracle.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lossd::testing {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNaN = std::nan("");

double Loss(const std::vector<double>& z, int64_t label) {
  return RoundTo<double>(OracleRow(z, label).loss);
}

double LogSumExp(const std::vector<double>& z) {
  return RoundTo<double>(OracleRow(z, 0).log_sum_exp);
}

template <typename T = double>
std::vector<T> Gradient(const std::vector<double>& z, int64_t label,
                        double upstream = 1, double divisor = 1) {
  std::vector<T> rounded;
  for (const ExactReal& g : OracleRow(z, label, upstream, divisor).gradient) {
    rounded.push_back(RoundTo<T>(g));
  }
  return rounded;
}

// From mpmath at 40 digits; the first ten of them also stand in SciPy's manual,
// scipy.special.logsumexp, for numpy.arange(10).
TEST(OracleTest, AgreesWithThePublishedLogSumExp) {
  EXPECT_EQ(LogSumExp({0, 1, 2, 3, 4, 5, 6, 7, 8, 9}), 9.4586297444267114018);
}

// mpmath: log1p(exp(-3)) and 1 / (1 + exp(3)).
TEST(OracleTest, AgreesWithMpmathForTwoClasses) {
  EXPECT_EQ(Loss({2, -1}, 0), 0.04858735157374205875892592);
  EXPECT_EQ(Loss({1e6 + 2, 1e6 - 1}, 0), 0.04858735157374205875892592);
  EXPECT_THAT(Gradient({2, -1}, 0),
              ::testing::ElementsAre(-0.04742587317756678087884815,
                                     0.04742587317756678087884815));
}

TEST(OracleTest, KeepsTheTrueClassGradientWhereItCancels) {
  EXPECT_THAT(Gradient({37.42994775023705, 0}, 0),
              ::testing::ElementsAre(-5.551115123125775787e-17,
                                     5.551115123125775787e-17));
  EXPECT_EQ(Loss({37.42994775023705, 0}, 0), 5.551115123125775941e-17);
}

TEST(OracleTest, IsRationalForEqualLogits) {
  EXPECT_THAT(Gradient({7, 7, 7}, 1),
              ::testing::ElementsAre(1.0 / 3, -2.0 / 3, 1.0 / 3));
  EXPECT_THAT(Gradient({-5, -5, -5, -5}, 3, 1, 3),
              ::testing::ElementsAre(1.0 / 12, 1.0 / 12, 1.0 / 12, -0.25));
  EXPECT_EQ(Loss({7, 7, 7}, 1), std::log(3.0));
  EXPECT_EQ(LogSumExp({7, 7}), 7.6931471805599453094);
}

TEST(OracleTest, IsExactlyZeroForOneClass) {
  EXPECT_EQ(Loss({123.25}, 0), 0);
  EXPECT_THAT(Gradient({123.25}, 0), ::testing::ElementsAre(0));
  EXPECT_EQ(LogSumExp({123.25}), 123.25);
}

TEST(OracleTest, GivesMaskedClassesNothing) {
  EXPECT_THAT(Gradient({1, -kInfinity, 1}, 0),
              ::testing::ElementsAre(-0.5, 0, 0.5));
  EXPECT_EQ(Loss({1, -kInfinity, 1}, 0), std::log(2.0));
}

TEST(OracleTest, HasAnInfiniteLossForALabelOnAMaskedClass) {
  EXPECT_EQ(Loss({1, -kInfinity, 1}, 1), kInfinity);
  EXPECT_THAT(Gradient({1, -kInfinity, 1}, 1),
              ::testing::ElementsAre(0.5, -1, 0.5));
}

TEST(OracleTest, IsNaNWhereTheRowIsUndefined) {
  for (const std::vector<double>& z : {std::vector<double>{kNaN, 0},
                                       {0, kNaN},
                                       {kInfinity, 0},
                                       {-kInfinity, -kInfinity},
                                       {kNaN, kInfinity}}) {
    EXPECT_TRUE(std::isnan(Loss(z, 0)));
    EXPECT_TRUE(std::isnan(LogSumExp(z)));
    EXPECT_THAT(Gradient(z, 1), ::testing::Each(::testing::IsNan()));
  }
}

TEST(OracleTest, KeepsTheLossAtTheEndsOfTheDoubles) {
  const double max = std::numeric_limits<double>::max();
  EXPECT_EQ(Loss({max, 0}, 1), max);
  EXPECT_EQ(Loss({max, -max}, 1), kInfinity);
  EXPECT_EQ(Loss({max, -max}, 0), 0);
  EXPECT_EQ(Loss({0, -740}, 0), std::exp(-740));
}

// Half of the scale is the midpoint of two floats. A third class at -800 takes
// exp(-800) off, which no double beside 1 can show, and so breaks the tie.
TEST(OracleTest, SeesHowFarATieIsMissed) {
  const double midpoint = 1 + std::ldexp(1, -24);
  EXPECT_EQ(Gradient<float>({0, 0}, 0, 2 * midpoint)[1], 1);
  EXPECT_EQ(Gradient<float>({0, 0, -800}, 0, -2 * midpoint)[1], -1);
  const double odd_midpoint = 1 + 3 * std::ldexp(1, -24);
  EXPECT_EQ(Gradient<float>({0, 0}, 0, 2 * odd_midpoint)[1],
            1 + std::ldexp(1.0f, -22));
  EXPECT_EQ(Gradient<float>({0, 0, -800}, 0, 2 * odd_midpoint)[1],
            1 + std::ldexp(1.0f, -23));
}

TEST(OracleTest, RoundsSubnormalProbabilities) {
  // exp(-95) and exp(-740), from mpmath, rounded by the reader of this literal.
  EXPECT_EQ(Gradient<float>({0, -95}, 0)[1], 5.521082277028532732e-42f);
  EXPECT_EQ(Gradient<double>({0, -740}, 0)[1], 4.188739880048048939e-322);
}

class OracleBatchTest : public ::testing::Test {
 protected:
  const std::vector<double> logits_ = {0, 0, 5, 6, 0, 0};
  const std::vector<int64_t> labels_ = {1, -100, 0};
  OracleInput input_{.rows = 3,
                     .classes = 2,
                     .logits = logits_,
                     .labels = labels_,
                     .ignore_index = -100};
};

TEST_F(OracleBatchTest, MeansOverTheRowsNotIgnored) {
  const OracleOutput output = OracleBatch(input_);
  EXPECT_EQ(output.row_count, 2);
  EXPECT_EQ(output.divisor, 2);
  EXPECT_EQ(RoundTo<double>(*output.loss), std::log(2.0));
  EXPECT_FALSE(output.rows[1].has_value());
  EXPECT_EQ(RoundTo<double>(output.rows[0]->gradient[0]), 0.25);
}

TEST_F(OracleBatchTest, SumsAndLeavesRowsAlone) {
  input_.reduction = compute::Reduction::kSum;
  OracleOutput output = OracleBatch(input_);
  EXPECT_EQ(output.divisor, 1);
  EXPECT_EQ(RoundTo<double>(*output.loss), 2 * std::log(2.0));
  EXPECT_EQ(RoundTo<double>(output.rows[0]->gradient[0]), 0.5);
  input_.reduction = compute::Reduction::kNone;
  output = OracleBatch(input_);
  EXPECT_FALSE(output.loss.has_value());
  EXPECT_EQ(RoundTo<double>(output.rows[0]->gradient[0]), 0.5);
}

TEST_F(OracleBatchTest, DividesByTheCallersDivisor) {
  input_.divisor = 8;
  const OracleOutput output = OracleBatch(input_);
  EXPECT_EQ(output.divisor, 8);
  EXPECT_EQ(RoundTo<double>(*output.loss), std::log(2.0) / 4);
  EXPECT_EQ(RoundTo<double>(output.rows[2]->gradient[1]), 0.0625);
}

TEST_F(OracleBatchTest, HasANaNMeanOfNothing) {
  input_.rows = 0;
  input_.labels = {};
  const OracleOutput output = OracleBatch(input_);
  EXPECT_TRUE(std::isnan(RoundTo<double>(*output.loss)));
  EXPECT_EQ(output.divisor, 0);
}

TEST(OraclePredictionTest, IsTheLowestOfTheLargest) {
  EXPECT_EQ(OraclePrediction({1, 3, 2, 3}), 1);
  EXPECT_EQ(OraclePrediction({-kInfinity, -5}), 1);
}

}  // namespace
}  // namespace lossd::testing
