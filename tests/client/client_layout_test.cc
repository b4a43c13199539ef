// Classes on another axis than the last, and gradients of another type than the
// logits': what the client sends and what it makes of the answer.
#include <cstdint>
#include <string>
#include <vector>

#include "client/lossd/client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/recorder.h"

namespace lossd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Recorder;
using testing::SetRaw;
using testing::Values;

// [2, 3, 2]: two outer, three classes, two inner; so four rows.
const std::vector<double> kLogits = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
const std::vector<int64_t> kLabels = {0, 1, 2, 0};
const Batch<double> kBatch = {
    .rows = 4, .classes = 3, .inner = 2, .logits = kLogits, .labels = kLabels};
const std::vector<float> kFloats(kLogits.begin(), kLogits.end());
const Batch<float> kFloatBatch = {
    .rows = 4, .classes = 3, .logits = kFloats, .labels = kLabels};

CallOptions Soon() { return CallOptions(absl::Seconds(30)); }

class ClientLayoutTest : public ::testing::Test {
 protected:
  v1::ComputeLossRequest Sent(const Batch<double>& batch,
                              const LossOptions& options = {}) {
    const absl::Status status =
        client_.ComputeLoss<double>(batch, options, Soon(), {}).status();
    EXPECT_TRUE(status.ok()) << status;
    return recorder_.request();
  }
  // The message with which `batch` is refused before anything is sent.
  std::string Refusal(const Batch<double>& batch) {
    const absl::Status status =
        client_.ComputeLoss<double>(batch, {}, Soon(), {}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_EQ(recorder_.server().calls(), 0);
    return std::string(status.message());
  }

  Recorder recorder_;
  Client client_ = *Client::Connect(
      {.target = recorder_.target(), .retry = {.max_attempts = 1}});
};

TEST_F(ClientLayoutTest, SendsClassesBetweenOuterAndInnerAxes) {
  const v1::ComputeLossRequest request = Sent(kBatch);
  EXPECT_EQ(request.class_axis(), 1);
  EXPECT_THAT(request.logits().shape(), ElementsAre(2, 3, 2));
  EXPECT_EQ(Values<double>(request.logits()), kLogits);
  EXPECT_THAT(request.labels().shape(), ElementsAre(2, 2));
  EXPECT_EQ(Values<int64_t>(request.labels()), kLabels);
}

TEST_F(ClientLayoutTest, SendsClassesLastAsAMatrixWithoutAClassAxis) {
  Batch<double> batch = kBatch;
  batch.inner = 1;
  const v1::ComputeLossRequest request = Sent(batch);
  EXPECT_FALSE(request.has_class_axis());
  EXPECT_THAT(request.logits().shape(), ElementsAre(4, 3));
  EXPECT_THAT(request.labels().shape(), ElementsAre(4));
}

TEST_F(ClientLayoutTest, SendsTargetsAsTheLogitsLie) {
  Batch<double> batch = kBatch;
  batch.labels = {};
  batch.targets = kLogits;
  const v1::Tensor labels = Sent(batch, {.loss = SquaredError{}}).labels();
  EXPECT_THAT(labels.shape(), ElementsAre(2, 3, 2));
  EXPECT_EQ(Values<double>(labels), kLogits);
}

TEST_F(ClientLayoutTest, SendsFactorsInTheRowsOrder) {
  const std::vector<double> factors = {1, 2, 3, 4};
  Batch<double> batch = kBatch;
  batch.row_weights = factors;
  batch.upstream_gradient = factors;
  const v1::ComputeLossRequest request = Sent(batch);
  EXPECT_THAT(request.row_weights().shape(), ElementsAre(4));
  EXPECT_EQ(Values<double>(request.row_weights()), factors);
  EXPECT_EQ(Values<double>(request.upstream_gradient()), factors);
}

TEST_F(ClientLayoutTest, SendsNoRowsWithAnInnerAxis) {
  const v1::ComputeLossRequest request =
      Sent({.rows = 0, .classes = 3, .inner = 5});
  EXPECT_THAT(request.logits().shape(), ElementsAre(0, 3, 5));
  EXPECT_THAT(request.labels().shape(), ElementsAre(0, 5));
}

TEST_F(ClientLayoutTest, SendsTheVectorAsTheLogitsLie) {
  v1::ComputeHessianVectorProductResponse response;
  SetRaw(response.mutable_product(), v1::DATA_TYPE_FLOAT64, kLogits);
  recorder_.Answer(response);
  std::vector<double> product(12);
  const absl::Status status = client_.ComputeHessianVectorProduct<double>(
      kBatch, {}, kLogits, Soon(), absl::MakeSpan(product));
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(recorder_.hessian_request().base().class_axis(), 1);
  EXPECT_THAT(recorder_.hessian_request().vector().shape(),
              ElementsAre(2, 3, 2));
  EXPECT_EQ(product, kLogits);
}

TEST_F(ClientLayoutTest, RefusesAnInnerThatIsNotPositive) {
  Batch<double> batch = kBatch;
  batch.inner = 0;
  EXPECT_EQ(Refusal(batch), "inner = 0, want >= 1");
  batch.inner = -1;
  EXPECT_EQ(Refusal(batch), "inner = -1, want >= 1");
}

// As many rows as inner is the last that divides.
TEST_F(ClientLayoutTest, RefusesAnInnerThatDoesNotDivideTheRows) {
  Batch<double> batch = kBatch;
  batch.inner = 4;
  EXPECT_THAT(Sent(batch).logits().shape(), ElementsAre(1, 3, 4));
  for (const int64_t inner : {3, 5}) {
    batch.inner = inner;
    const absl::Status status =
        client_.ComputeLoss<double>(batch, {}, Soon(), {}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(status.message(),
              "rows = 4, want a multiple of inner = " + std::to_string(inner));
  }
  EXPECT_EQ(recorder_.server().calls(), 1);
}

TEST_F(ClientLayoutTest, TakesAWideGradientOfFloatLogits) {
  v1::ComputeLossResponse response;
  SetRaw(response.mutable_gradient(), v1::DATA_TYPE_FLOAT64, kLogits);
  SetRaw<float>(response.mutable_row_losses(), v1::DATA_TYPE_FLOAT32,
                {1, 2, 3, 4});
  recorder_.Answer(response);
  std::vector<double> gradient(12);
  std::vector<float> row_losses(4);
  const auto summary = client_.ComputeLoss<float, double>(
      kFloatBatch, {}, Soon(),
      {.gradient = absl::MakeSpan(gradient),
       .row_losses = absl::MakeSpan(row_losses)});
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(recorder_.request().gradient_data_type(), v1::DATA_TYPE_FLOAT64);
  EXPECT_EQ(recorder_.request().logits().data_type(), v1::DATA_TYPE_FLOAT32);
  EXPECT_EQ(gradient, kLogits);
  EXPECT_THAT(row_losses, ElementsAre(1, 2, 3, 4));
}

TEST_F(ClientLayoutTest, TakesANarrowGradientOfDoubleLogits) {
  v1::ComputeLossResponse response;
  SetRaw(response.mutable_gradient(), v1::DATA_TYPE_FLOAT32, kFloats);
  recorder_.Answer(response);
  std::vector<float> gradient(12);
  // Deduced from what the gradient goes to.
  LossOutputs<double, float> outputs;
  outputs.gradient = absl::MakeSpan(gradient);
  const auto summary = client_.ComputeLoss(kBatch, {}, Soon(), outputs);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(recorder_.request().gradient_data_type(), v1::DATA_TYPE_FLOAT32);
  EXPECT_EQ(gradient, kFloats);
}

TEST_F(ClientLayoutTest, NamesAGradientTypeOnlyWhereItDiffers) {
  std::vector<double> gradient(12);
  v1::ComputeLossResponse response;
  SetRaw(response.mutable_gradient(), v1::DATA_TYPE_FLOAT64, kLogits);
  recorder_.Answer(response);
  ASSERT_TRUE(client_
                  .ComputeLoss<double>(kBatch, {}, Soon(),
                                       {.gradient = absl::MakeSpan(gradient)})
                  .ok());
  EXPECT_EQ(recorder_.request().gradient_data_type(),
            v1::DATA_TYPE_UNSPECIFIED);
  ASSERT_TRUE(
      (client_.ComputeLoss<double, float>(kBatch, {}, Soon(), {}).ok()));
  EXPECT_EQ(recorder_.request().gradient_data_type(),
            v1::DATA_TYPE_UNSPECIFIED);
}

TEST_F(ClientLayoutTest, RefusesAnAnswerWithAGradientOfTheLogitsType) {
  v1::ComputeLossResponse response;
  SetRaw(response.mutable_gradient(), v1::DATA_TYPE_FLOAT32, kFloats);
  recorder_.Answer(response);
  std::vector<double> gradient(12);
  const absl::Status status =
      client_
          .ComputeLoss<float, double>(kFloatBatch, {}, Soon(),
                                      {.gradient = absl::MakeSpan(gradient)})
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("gradient with 48 bytes of DATA_TYPE_FLOAT32, want 96 "
                        "of DATA_TYPE_FLOAT64"));
}

}  // namespace
}  // namespace lossd
