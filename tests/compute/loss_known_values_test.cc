// Numbers from outside: manuals, courses, and the vectors where other libraries
// go wrong.
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/loss_runner.h"

namespace lossd::testing {
namespace {

template <typename T>
LossRun<T> RunRow(const std::vector<T>& logits, int64_t label) {
  return MustRunLoss(
      TestBatch<T>{1, static_cast<int64_t>(logits.size()), logits, {label}});
}

// Wikipedia, "Softmax function", the worked example of seven numbers; more
// digits by mpmath.
TEST(KnownValuesTest, AreThoseOfWikipediasSevenNumbers) {
  const double p[] = {0.023640543021591387774, 0.064261658510496159663,
                      0.17468129859572226623,  0.47483299974438037266,
                      0.023640543021591387774, 0.064261658510496159663,
                      0.17468129859572226623};
  const LossRun<double> run = RunRow<double>({1, 2, 3, 4, 1, 2, 3}, 3);
  for (int i = 0; i < 7; ++i) {
    // 1 ulp: 1 - p[3] is rounded here.
    EXPECT_DOUBLE_EQ(run.gradient[i], i == 3 ? -(1 - p[3]) : p[i]);
  }
  EXPECT_NEAR(*run.summary.loss, -std::log(p[3]), 1e-15);
}

// TensorFlow's manual, tf.keras.losses.sparse_categorical_crossentropy: losses
// 0.0513 and 2.303, mean 1.177. The probabilities' logarithms serve as logits,
// and a probability of 0 as -inf.
TEST(KnownValuesTest, AreThoseOfKerasManual) {
  const double minus = -std::numeric_limits<double>::infinity();
  const LossRun<double> run = MustRunLoss(
      TestBatch<double>{2,
                        3,
                        {std::log(0.05), std::log(0.95), minus, std::log(0.1),
                         std::log(0.8), std::log(0.1)},
                        {1, 2}});
  EXPECT_NEAR(run.row_losses[0], 0.0513, 5e-5);
  EXPECT_NEAR(run.row_losses[1], 2.303, 5e-4);
  EXPECT_NEAR(*run.summary.loss, 1.177, 5e-4);
}

// SciPy's manual, scipy.special.logsumexp, numpy.arange(10).
TEST(KnownValuesTest, AreThoseOfSciPysLogSumExp) {
  const LossRun<double> run = RunRow<double>({0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 0);
  EXPECT_NEAR(run.log_sum_exp[0], 9.4586297444267107, 4e-15);
}

// SciPy's manual, scipy.special.log_softmax([1000, 1]): 0 and -999.
TEST(KnownValuesTest, AreThoseOfSciPysSaturatedLogSoftmax) {
  EXPECT_EQ(*RunRow<double>({1000, 1}, 0).summary.loss, 0);
  EXPECT_EQ(*RunRow<double>({1000, 1}, 1).summary.loss, 999);
}

// Stanford CS231n, notes on linear classification: scores -2.85, 0.86, 0.28,
// the third class correct: probabilities 0.016, 0.631, 0.353, loss 1.04.
TEST(KnownValuesTest, AreThoseOfTheStanfordCourseNotes) {
  const LossRun<float> run = RunRow<float>({-2.85f, 0.86f, 0.28f}, 2);
  EXPECT_NEAR(run.gradient[0], 0.016, 1e-3);
  EXPECT_NEAR(run.gradient[1], 0.631, 1e-3);
  EXPECT_NEAR(run.gradient[2], 0.353 - 1, 1e-3);
  EXPECT_NEAR(*run.summary.loss, 1.04, 5e-3);
}

// p_y - 1 cancels here; PyTorch issues 195678 and 195677, TensorFlow issues
// 126634 and 126636.
TEST(KnownValuesTest, KeepTheGradientOfAConfidentRowInFloat64) {
  const LossRun<double> run = RunRow<double>({37.42994775023705, 0}, 0);
  constexpr double kWant = 5.551115123125776e-17;
  EXPECT_LT(std::fabs(run.gradient[0] / -kWant - 1), 1e-15);
  EXPECT_LT(std::fabs(run.gradient[1] / kWant - 1), 1e-15);
}

// 1 / (1 + exp(g)) for margins at which float32's p_y is 1; mpmath.
TEST(KnownValuesTest, KeepTheGradientOfConfidentRowsInFloat32) {
  const std::pair<float, double> cases[] = {{15.0f, 3.0590222692562474e-7},
                                            {17.0f, 4.1399375473943306e-8},
                                            {20.0f, 2.0611536181902036e-9},
                                            {80.0f, 1.8048513878454153e-35},
                                            {100.0f, 3.7200759760208360e-44}};
  for (const auto& [margin, want] : cases) {
    const LossRun<float> run = RunRow<float>({margin, 0}, 0);
    EXPECT_EQ(run.gradient[0], static_cast<float>(-want)) << margin;
    EXPECT_EQ(run.gradient[1], static_cast<float>(want)) << margin;
  }
}

// lse - z_y gives 0.0625 here.
TEST(KnownValuesTest, KeepTheLossUnderACommonOffset) {
  const LossRun<float> run = RunRow<float>({1e6f + 2, 1e6f - 1}, 0);
  EXPECT_EQ(run.row_losses[0], 0.04858735157374205875892592f);
  EXPECT_EQ(run.gradient[1], 0.04742587317756678087884815f);
  EXPECT_NEAR(*run.summary.loss, 0.04858735157374205875892592, 1e-16);
}

// Equal logits carry no information: the loss is ln C, whatever the label.
TEST(KnownValuesTest, AreLogOfClassCountForEqualLogits) {
  for (int classes : {2, 3, 10, 1000}) {
    for (float level : {0.0f, -3.5f, 1e6f}) {
      const std::vector<float> z(classes, level);
      const LossRun<float> run = RunRow<float>(z, classes / 2);
      EXPECT_EQ(run.row_losses[0], static_cast<float>(std::log(classes)));
      EXPECT_EQ(run.gradient[0], 1.0f / classes);
    }
  }
}

// Log-probabilities are logits whose ln sum exp is next to 0: the maximum and
// the logarithm of the sum cancel. What stays here is the part of ln 2 that a
// double does not hold; from mpmath.
TEST(KnownValuesTest, KeepLogSumExpWhereItCancels) {
  const LossRun<double> run = RunRow<double>({-M_LN2, -M_LN2}, 0);
  EXPECT_NEAR(run.log_sum_exp[0] / 2.3190468138462998665e-17, 1, 1e-15);
}

}  // namespace
}  // namespace lossd::testing
