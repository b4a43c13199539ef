// The oracle with options: effects, ties, impossible classes and denominators.
#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/elements.h"
#include "tests/support/oracle.h"

namespace lossd::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <typename T = double>
std::vector<T> Gradient(const std::vector<double>& logits,
                        const RowTarget& target, const OracleOptions& options,
                        const RowFactors& factors = {}) {
  std::vector<T> rounded;
  for (const ExactReal& g :
       OracleRow(logits, target, options, factors).gradient) {
    rounded.push_back(RoundTo<T>(g));
  }
  return rounded;
}

double Loss(const std::vector<double>& logits, const RowTarget& target,
            const OracleOptions& options, const RowFactors& factors = {}) {
  return RoundTo<double>(OracleRow(logits, target, options, factors).loss);
}

class OptionEffectTest : public ::testing::Test {
 protected:
  void ExpectEffect(const OracleOptions& options, bool on_loss = true,
                    const RowFactors& factors = {}) {
    EXPECT_EQ(Loss(logits_, 0, options, factors) != Loss(logits_, 0, {}),
              on_loss);
    EXPECT_NE(Gradient(logits_, 0, options, factors),
              Gradient(logits_, 0, {}, {}));
  }
  const std::vector<double> logits_ = {1, 2, -1};
  const std::vector<double> weights_ = {2, 1, 3};
};

TEST_F(OptionEffectTest, EachOptionHasOne) {
  ExpectEffect({.class_weights = weights_});
  ExpectEffect({.label_smoothing = 0.1});
  ExpectEffect({.label_smoothing = 1e-6});
  ExpectEffect({.z_loss = 1e-4});
  ExpectEffect({.logit_scale = 0.5});
  ExpectEffect({}, true, {.row_weight = 0.5});
  ExpectEffect({}, false, {.upstream = -1});
  ExpectEffect({}, false, {.divisor = 3});
}

TEST_F(OptionEffectTest, ProbabilitiesOfOneClassAreItsLabel) {
  const std::vector<double> one_hot = {0, 1, 0};
  const OracleOptions options{.class_weights = weights_,
                              .label_smoothing = 0.25};
  EXPECT_EQ(Loss(logits_, one_hot, options), Loss(logits_, 1, options));
  EXPECT_EQ(Gradient(logits_, one_hot, options), Gradient(logits_, 1, options));
  const std::vector<double> soft = {0.5, 0.5, 0};
  EXPECT_NE(Loss(logits_, soft, options), Loss(logits_, 1, options));
}

TEST_F(OptionEffectTest, ScaleIsThatOfTheLogits) {
  const ExactRow scaled =
      OracleRow(logits_, 2, OracleOptions{.logit_scale = 4});
  const ExactRow plain = OracleRow({4, 8, -4}, 2);
  EXPECT_EQ(RoundTo<double>(scaled.loss), RoundTo<double>(plain.loss));
  EXPECT_EQ(RoundTo<double>(scaled.log_sum_exp),
            RoundTo<double>(plain.log_sum_exp));
  EXPECT_EQ(RoundTo<double>(scaled.gradient[0]),
            4 * RoundTo<double>(plain.gradient[0]));
  EXPECT_EQ(RoundTo<double>(scaled.probabilities[0]),
            RoundTo<double>(plain.probabilities[0]));
}

// 1/3 - (1/2)/3 = 1/6, and 1/3 - 1/2 - 1/6 = -1/3: over a third the middle of
// two floats is seen as one, though no binary number is a third.
TEST(RationalGradientTest, SeesTiesThroughQuotients) {
  const OracleOptions options{.label_smoothing = 0.5};
  for (const double k : {1.0, 3.0}) {
    const double middle = 1 + k * 0x1p-24;
    const auto even = static_cast<float>(k == 1 ? 1 : 1 + 0x1p-22);
    EXPECT_THAT(
        Gradient<float>({7, 7, 7}, 0, options, {.upstream = 6 * middle}),
        ElementsAre(-2 * even, even, even));
    EXPECT_EQ(Gradient<float>({7, 7, 7}, 0, options,
                              {.upstream = 42 * middle, .divisor = 7})[1],
              even);
  }
  const double middle = 1 + 0x1p-11;
  EXPECT_EQ(Wide(Gradient<compute::Float16>({7, 7, 7}, 0, options,
                                            {.upstream = 6 * middle})[2]),
            1);
}

// 1 + 3 * 2^-24 is a tie that goes up; the least that is missing turns it down.
TEST(RationalGradientTest, SeesWhatBreaksATie) {
  const RowFactors factors{.upstream = 2 * (1 + 3 * 0x1p-24)};
  const float up = 1 + 0x1p-22f;
  const float down = 1 + 0x1p-23f;
  const std::vector<double> weights = {1, 1, 1};
  const OracleOptions weighted{.class_weights = weights};
  EXPECT_EQ(Gradient<float>({0, 0}, 0, weighted, factors)[1], up);
  for (const double far : {-700.0, -1990.0, -5000.0, -1e30}) {
    EXPECT_EQ(Gradient<float>({0, 0, far}, 0, weighted, factors)[1], down);
  }
  EXPECT_EQ(Gradient<float>({0, 0, -kInfinity}, 0, weighted, factors)[1], up);
  EXPECT_EQ(Gradient<float>({0, 0}, 0, {.label_smoothing = 1e-300}, factors)[1],
            down);
  for (const double least : {0.0, 1e-300}) {
    const std::vector<double> t = {least, 1};
    EXPECT_EQ(Gradient<float>({0, 0}, t, {}, factors)[0],
              least == 0 ? up : down);
  }
}

// Q p_c - q_c = p_c - 1/2 is half of half the logits' difference.
TEST(RationalGradientTest, SeesTheSmallestDifferenceOfLogits) {
  const double least = std::numeric_limits<double>::denorm_min();
  EXPECT_EQ(Gradient<double>({least, 0}, 0, {.label_smoothing = 1},
                             {.upstream = 0x1p80})[0],
            0x1p78 * least);
  EXPECT_EQ(
      Gradient<float>({0x1p-149, 0}, 0, {}, {.upstream = 2 * (1 + 0x1p-24)})[1],
      1);
  EXPECT_EQ(
      Gradient<float>({0x1p-149, 0}, 1, {}, {.upstream = 2 * (1 + 0x1p-24)})[0],
      1 + 0x1p-23f);
}

// q + 2 zl z - q.
TEST(RationalGradientTest, SeesTheSmallestZLoss) {
  const double least = std::numeric_limits<double>::denorm_min();
  EXPECT_EQ(
      Gradient<double>({least}, 0, {.z_loss = 0.25}, {.upstream = 0x1p80})[0],
      0x1p79 * least);
}

TEST(RationalGradientTest, IsExactlyZeroWhereTermsAreEqual) {
  for (const std::vector<double>& logits :
       {std::vector<double>{5}, {5, 5, 5}, std::vector<double>(7, -1)}) {
    EXPECT_THAT(Gradient(logits, 0, {.label_smoothing = 1}), Each(0));
    const std::vector<double> even(logits.size(), 0.1);
    EXPECT_THAT(Gradient(logits, even, {.label_smoothing = 0.3}), Each(0));
  }
}

class ImpossibleClassTest : public ::testing::Test {
 protected:
  const std::vector<double> logits_ = {1, -kInfinity, 1};
};

TEST_F(ImpossibleClassTest, CostsNothingWhereItsTargetIsZero) {
  const std::vector<double> t = {0.5, 0, 0.5};
  const std::vector<double> weights = {1, 0, 1};
  EXPECT_EQ(Loss(logits_, t, {}), std::log(2.0));
  EXPECT_EQ(Loss(logits_, 1, {.class_weights = weights}), 0);
  EXPECT_DOUBLE_EQ(
      Loss(logits_, 0, {.class_weights = weights, .label_smoothing = 1}),
      2 * std::log(2.0) / 3);
  EXPECT_EQ(Loss(logits_, 1, {}, {.row_weight = 0}), 0);
  EXPECT_THAT(Gradient(logits_, t, {}), ElementsAre(0, 0, 0));
}

TEST_F(ImpossibleClassTest, MakesTheLossInfiniteButNotTheGradient) {
  const std::vector<double> t = {0.5, 0.25, 0.5};
  EXPECT_EQ(Loss(logits_, t, {}), kInfinity);
  EXPECT_THAT(Gradient(logits_, t, {}), ElementsAre(0.125, -0.25, 0.125));
  EXPECT_EQ(Loss(logits_, 0, {.label_smoothing = 0.5}), kInfinity);
  EXPECT_THAT(Gradient(logits_, 0, {.label_smoothing = 0.75}, {.upstream = 4}),
              ElementsAre(0, -1, 1));
  EXPECT_EQ(RoundTo<double>(OracleRow(logits_, 1).probabilities[1]), 0);
}

class DenominatorTest : public ::testing::Test {
 protected:
  const std::vector<double> logits_ = {0, 0, 5, 6, 0, 0};
  const std::vector<int64_t> labels_ = {1, -100, 0};
  const std::vector<double> class_weights_ = {0.1, 0.3};
  const std::vector<double> row_weights_ = {2, 7, 0.7};
  const std::vector<double> probabilities_ = {1, 0, 0.5, 0.5, 0, 0};
  OracleInput input_{.rows = 3,
                     .classes = 2,
                     .logits = logits_,
                     .labels = labels_,
                     .ignore_index = -100,
                     .options = {.class_weights = class_weights_},
                     .row_weights = row_weights_};
};

TEST_F(DenominatorTest, IsTheSumOfRowAndClassWeightsOfTheLabels) {
  ExactReal want(300, 2);
  mpfr_mul_d(want.get(), want.get(), 0.3, MPFR_RNDN);
  want = want + ExactReal(300, 0.7) * ExactReal(300, 0.1);
  EXPECT_TRUE(mpfr_equal_p(OracleDivisor(input_).get(), want.get()));
  const OracleOutput output = OracleBatch(input_);
  EXPECT_EQ(output.divisor, RoundTo<double>(want));
  EXPECT_EQ(output.row_count, 2);
  // Row 0's share of the mean's gradient: 2 * 0.3 / D, times 1/2.
  EXPECT_DOUBLE_EQ(RoundTo<double>(output.rows[0]->gradient[0]),
                   0.3 / output.divisor);
  EXPECT_DOUBLE_EQ(RoundTo<double>(*output.loss), std::log(2.0));
}

TEST_F(DenominatorTest, LeavesClassWeightsOutWithProbabilities) {
  input_.probabilities = probabilities_;
  EXPECT_EQ(RoundTo<double>(OracleDivisor(input_)), 9.7);
  EXPECT_EQ(OracleBatch(input_).row_count, 3);
  input_.row_weights = {};
  EXPECT_EQ(RoundTo<double>(OracleDivisor(input_)), 3);
}

TEST_F(DenominatorTest, IsReplacedByTheCallersDivisor) {
  input_.divisor = 8;
  const OracleOutput output = OracleBatch(input_);
  EXPECT_EQ(output.divisor, 8);
  EXPECT_DOUBLE_EQ(RoundTo<double>(output.rows[0]->gradient[0]), 0.3 / 8);
}

TEST_F(DenominatorTest, OfZeroMakesTheMeanNaNAndTheGradientZero) {
  const std::vector<double> none = {0, 1, 0};
  input_.row_weights = none;
  const OracleOutput output = OracleBatch(input_);
  EXPECT_EQ(output.divisor, 0);
  EXPECT_TRUE(std::isnan(RoundTo<double>(*output.loss)));
  EXPECT_EQ(RoundTo<double>(output.rows[0]->gradient[0]), 0);
}

TEST_F(DenominatorTest, HasNoPartInUpstreamGradients) {
  input_.reduction = compute::Reduction::kSum;
  const std::vector<double> for_all = {-2};
  const std::vector<double> by_row = {3, 9, 0};
  const double g = RoundTo<double>(OracleBatch(input_).rows[0]->gradient[0]);
  input_.upstream = for_all;
  OracleOutput output = OracleBatch(input_);
  EXPECT_EQ(RoundTo<double>(output.rows[0]->gradient[0]), -2 * g);
  EXPECT_DOUBLE_EQ(RoundTo<double>(output.rows[2]->gradient[0]), 0.07);
  input_.upstream = by_row;
  output = OracleBatch(input_);
  EXPECT_DOUBLE_EQ(RoundTo<double>(output.rows[0]->gradient[0]), 3 * g);
  EXPECT_EQ(RoundTo<double>(output.rows[2]->gradient[0]), 0);
}

}  // namespace
}  // namespace lossd::testing
