// What the service answers, against closed forms.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/rpc/requests.h"
#include "tests/rpc/test_server.h"

namespace lossd::rpc {
namespace {

using ::testing::DoubleNear;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::IsEmpty;

// -ln softmax(2, 1, 0.1)_0 and the gradient, by hand.
constexpr double kLoss = 0.41703001627783354;
const double kSum = std::exp(2.0) + std::exp(1.0) + std::exp(0.1);
const double kGradient[] = {std::exp(2.0) / kSum - 1, std::exp(1.0) / kSum,
                            std::exp(0.1) / kSum};

class ServerValuesTest : public testing::Test {
 protected:
  v1::ComputeLossResponse ComputeLoss(const std::string& more) {
    return server_.ComputeLoss(RequestWith(more));
  }

  TestServer server_;
};

TEST_F(ServerValuesTest, AreMeanLossAndGradientByDefault) {
  const v1::ComputeLossResponse response = ComputeLoss("");
  EXPECT_NEAR(response.loss(), (kLoss + std::log(3.0)) / 2, 1e-7);
  EXPECT_EQ(response.row_count(), 2);
  EXPECT_EQ(response.correct_count(), 1);
  EXPECT_EQ(response.divisor(), 2);
  EXPECT_EQ(response.gradient().data_type(), v1::DATA_TYPE_FLOAT32);
  EXPECT_THAT(ShapeOf(response.gradient()), ElementsAre(2, 3));
  EXPECT_THAT(
      ValuesOf<float>(response.gradient()),
      ElementsAre(FloatNear(kGradient[0] / 2, 1e-7),
                  FloatNear(kGradient[1] / 2, 1e-7),
                  FloatNear(kGradient[2] / 2, 1e-7), FloatNear(1.0 / 6, 1e-7),
                  FloatNear(1.0 / 6, 1e-7), FloatNear(-1.0 / 3, 1e-7)));
  EXPECT_FALSE(response.has_row_losses() || response.has_log_sum_exp() ||
               response.has_predictions() || response.has_probabilities() ||
               response.has_log_probabilities());
}

// Equal logits of two classes: gradients of a half, which every type holds.
TEST_F(ServerValuesTest, AreInHalfPrecisionForSuchLogits) {
  for (const v1::DataType type :
       {v1::DATA_TYPE_FLOAT16, v1::DATA_TYPE_BFLOAT16}) {
    v1::ComputeLossRequest request = ZerosRequest(1, 2);
    request.mutable_logits()->set_data_type(type);
    request.mutable_logits()->set_raw(std::string(4, 0));
    v1::ComputeLossResponse response = server_.ComputeLoss(request);
    EXPECT_NEAR(response.loss(), std::log(2.0), 1e-15);
    EXPECT_EQ(response.gradient().data_type(), type);
    const uint16_t half = type == v1::DATA_TYPE_FLOAT16 ? 0x3800 : 0x3f00;
    EXPECT_EQ(response.gradient().raw(),
              RawBytes<uint16_t>({static_cast<uint16_t>(half | 0x8000), half}));
    request.set_gradient_data_type(v1::DATA_TYPE_FLOAT32);
    response = server_.ComputeLoss(request);
    EXPECT_THAT(ValuesOf<float>(response.gradient()), ElementsAre(-0.5f, 0.5f));
  }
}

// The label far below: its gradient is -1, the others' p = 1/2, its loss 30 and
// ln 2, all in the logits' type but where another is asked for.
TEST_F(ServerValuesTest, AreOfTheLogitsTypeButForTheGradientsOwn) {
  v1::ComputeLossRequest request = ZerosRequest(1, 3);
  request.mutable_logits()->set_data_type(v1::DATA_TYPE_BFLOAT16);
  request.mutable_logits()->set_raw(RawBytes<uint16_t>({0xc1f0, 0, 0}));  // -30
  for (const v1::Output output :
       {v1::OUTPUT_GRADIENT, v1::OUTPUT_ROW_LOSSES, v1::OUTPUT_LOG_SUM_EXP}) {
    request.add_outputs(output);
  }
  request.set_gradient_data_type(v1::DATA_TYPE_FLOAT16);
  const v1::ComputeLossResponse response = server_.ComputeLoss(request);
  EXPECT_EQ(response.gradient().data_type(), v1::DATA_TYPE_FLOAT16);
  EXPECT_THAT(ValuesOf<uint16_t>(response.gradient()),
              ElementsAre(0xbc00, 0x3800, 0x3800));
  EXPECT_EQ(response.row_losses().data_type(), v1::DATA_TYPE_BFLOAT16);
  EXPECT_THAT(ValuesOf<uint16_t>(response.row_losses()),
              ElementsAre(0x41f6));  // 30.75
  EXPECT_THAT(ValuesOf<uint16_t>(response.log_sum_exp()),
              ElementsAre(0x3f31));  // 0.69140625
}

// A third has no last place: each type of gradient rounds it to its own.
TEST_F(ServerValuesTest, AreAsWideAsAskedForWhateverTheLogits) {
  for (const v1::DataType type :
       {v1::DATA_TYPE_FLOAT16, v1::DATA_TYPE_BFLOAT16, v1::DATA_TYPE_FLOAT32}) {
    v1::ComputeLossRequest request = ZerosRequest(1, 3);
    request.mutable_logits()->set_data_type(type);
    request.mutable_logits()->set_raw(
        std::string(type == v1::DATA_TYPE_FLOAT32 ? 12 : 6, 0));
    request.set_gradient_data_type(v1::DATA_TYPE_FLOAT64);
    request.add_outputs(v1::OUTPUT_GRADIENT);
    request.add_outputs(v1::OUTPUT_ROW_LOSSES);
    const v1::ComputeLossResponse response = server_.ComputeLoss(request);
    EXPECT_EQ(response.gradient().data_type(), v1::DATA_TYPE_FLOAT64);
    EXPECT_THAT(ValuesOf<double>(response.gradient()),
                ElementsAre(-2.0 / 3, 1.0 / 3, 1.0 / 3));
    EXPECT_EQ(response.row_losses().data_type(), type);
  }
}

TEST_F(ServerValuesTest, AreTheSumForReductionSum) {
  const v1::ComputeLossResponse response =
      ComputeLoss("reduction: REDUCTION_SUM");
  EXPECT_NEAR(response.loss(), kLoss + std::log(3.0), 1e-7);
  EXPECT_EQ(response.divisor(), 1);
  EXPECT_NEAR(ValuesOf<float>(response.gradient())[0], kGradient[0], 1e-7);
}

TEST_F(ServerValuesTest, HaveNoLossForReductionNone) {
  const v1::ComputeLossResponse response = ComputeLoss(
      "reduction: REDUCTION_NONE "
      "outputs: [OUTPUT_LOSS, OUTPUT_ROW_LOSSES, OUTPUT_GRADIENT]");
  EXPECT_FALSE(response.has_loss());
  EXPECT_EQ(response.divisor(), 1);
  EXPECT_THAT(
      ValuesOf<float>(response.row_losses()),
      ElementsAre(FloatNear(kLoss, 1e-7), FloatNear(std::log(3.0), 1e-7)));
  EXPECT_NEAR(ValuesOf<float>(response.gradient())[0], kGradient[0], 1e-7);
}

TEST_F(ServerValuesTest, AreDividedByTheCallersDivisor) {
  const v1::ComputeLossResponse response = ComputeLoss("divisor: 4");
  EXPECT_NEAR(response.loss(), (kLoss + std::log(3.0)) / 4, 1e-7);
  EXPECT_EQ(response.divisor(), 4);
  EXPECT_NEAR(ValuesOf<float>(response.gradient())[0], kGradient[0] / 4, 1e-7);
}

TEST_F(ServerValuesTest, LeaveIgnoredRowsOut) {
  const v1::ComputeLossResponse response =
      ComputeLoss("loss { softmax_cross_entropy { ignore_index: 2 } }");
  EXPECT_NEAR(response.loss(), kLoss, 1e-7);
  EXPECT_EQ(response.row_count(), 1);
  EXPECT_EQ(response.divisor(), 1);
  const std::vector<float> gradient = ValuesOf<float>(response.gradient());
  EXPECT_THAT(std::vector<float>(gradient.begin() + 3, gradient.end()),
              Each(0));
}

TEST_F(ServerValuesTest, HoldOnlyTheLossWhenOnlyTheLossIsAskedFor) {
  const v1::ComputeLossResponse response = ComputeLoss("outputs: OUTPUT_LOSS");
  EXPECT_NEAR(response.loss(), (kLoss + std::log(3.0)) / 2, 1e-7);
  EXPECT_FALSE(response.has_gradient());
}

TEST_F(ServerValuesTest, HoldEveryOutputAskedFor) {
  const v1::ComputeLossResponse response = ComputeLoss(
      "outputs: [OUTPUT_ROW_LOSSES, OUTPUT_LOG_SUM_EXP, OUTPUT_PREDICTIONS]");
  EXPECT_FALSE(response.has_loss() || response.has_gradient());
  EXPECT_THAT(ShapeOf(response.row_losses()), ElementsAre(2));
  EXPECT_THAT(
      ValuesOf<float>(response.row_losses()),
      ElementsAre(FloatNear(kLoss, 1e-7), FloatNear(std::log(3.0), 1e-7)));
  EXPECT_THAT(ValuesOf<float>(response.log_sum_exp()),
              ElementsAre(FloatNear(std::log(kSum), 1e-6),
                          FloatNear(std::log(3.0), 1e-6)));
  EXPECT_EQ(response.predictions().data_type(), v1::DATA_TYPE_INT64);
  EXPECT_THAT(ValuesOf<int64_t>(response.predictions()), ElementsAre(0, 0));
}

TEST_F(ServerValuesTest, AreFloat64ForFloat64Logits) {
  v1::ComputeLossRequest request = RequestWith();
  request.mutable_logits()->set_data_type(v1::DATA_TYPE_FLOAT64);
  request.mutable_logits()->set_raw(
      RawBytes<double>({37.42994775023705, 0, -HUGE_VAL, 0, 0, 0}));
  const v1::ComputeLossResponse response = server_.ComputeLoss(request);
  EXPECT_EQ(response.gradient().data_type(), v1::DATA_TYPE_FLOAT64);
  // exp(-z) / (1 + exp(-z)) where p_y - 1 would have no digit left.
  EXPECT_THAT(
      ValuesOf<double>(response.gradient()),
      ElementsAre(DoubleNear(-5.551115123125776e-17 / 2, 1e-31),
                  DoubleNear(5.551115123125776e-17 / 2, 1e-31), 0,
                  DoubleNear(1.0 / 6, 1e-15), DoubleNear(1.0 / 6, 1e-15),
                  DoubleNear(-1.0 / 3, 1e-15)));
}

TEST_F(ServerValuesTest, AreLogOfClassCountForEqualLogits) {
  for (const int64_t classes : {1, 2, 27, 1000, 50257}) {
    v1::ComputeLossRequest request;
    v1::Tensor& logits = *request.mutable_logits();
    logits.set_data_type(v1::DATA_TYPE_FLOAT32);
    logits.add_shape(3);
    logits.add_shape(classes);
    logits.set_raw(RawBytes(std::vector<float>(3 * classes, -4.5f)));
    request.mutable_labels()->add_shape(3);
    for (const int64_t label : {int64_t{0}, classes / 2, classes - 1}) {
      request.mutable_labels()->mutable_int64_values()->add_values(label);
    }
    const v1::ComputeLossResponse response = server_.ComputeLoss(request);
    EXPECT_NEAR(response.loss(), std::log(classes), 1e-6) << classes;
    const std::vector<float> gradient = ValuesOf<float>(response.gradient());
    EXPECT_NEAR(std::accumulate(gradient.begin(), gradient.end(), 0.0), 0,
                1e-6);
  }
}

TEST_F(ServerValuesTest, AreThoseOfOneRowForRankOne) {
  const v1::ComputeLossResponse response =
      server_.ComputeLoss(FromText<v1::ComputeLossRequest>(R"(
          logits { shape: 3 float_values { values: [ 2, 1, 0.1 ] } }
          labels { int64_values { values: 0 } }
          outputs: [ OUTPUT_LOSS, OUTPUT_ROW_LOSSES, OUTPUT_GRADIENT ])"));
  EXPECT_NEAR(response.loss(), kLoss, 1e-7);
  EXPECT_THAT(ShapeOf(response.row_losses()), IsEmpty());
  EXPECT_EQ(response.row_losses().raw().size(), sizeof(float));
  EXPECT_THAT(ShapeOf(response.gradient()), ElementsAre(3));
}

TEST_F(ServerValuesTest, AreAMeanOfNothingForZeroRows) {
  const v1::ComputeLossResponse response =
      server_.ComputeLoss(FromText<v1::ComputeLossRequest>(R"(
          logits { shape: [ 0, 3 ] float_values {} }
          labels { shape: 0 int64_values {} })"));
  EXPECT_TRUE(std::isnan(response.loss()));
  EXPECT_EQ(response.divisor(), 0);
  EXPECT_EQ(response.row_count(), 0);
  EXPECT_TRUE(response.has_gradient());
  EXPECT_THAT(ShapeOf(response.gradient()), ElementsAre(0, 3));
}

TEST_F(ServerValuesTest, AreNanOnlyInTheRowOfANanWhenPropagated) {
  v1::ComputeLossRequest request = RequestWith(
      "non_finite_policy: NON_FINITE_POLICY_PROPAGATE "
      "outputs: [OUTPUT_ROW_LOSSES]");
  request.mutable_logits()->mutable_float_values()->set_values(4, NAN);
  const std::vector<float> losses =
      ValuesOf<float>(server_.ComputeLoss(request).row_losses());
  ASSERT_EQ(losses.size(), 2u);
  EXPECT_NEAR(losses[0], kLoss, 1e-7);
  EXPECT_TRUE(std::isnan(losses[1]));
}

}  // namespace
}  // namespace lossd::rpc
