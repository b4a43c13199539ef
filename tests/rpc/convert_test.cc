#include "server/rpc/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/rpc/requests.h"

namespace lossd::rpc {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

absl::Status StatusOf(const v1::ComputeLossRequest& request) {
  return LossQueryFromProto(Received(request)).status();
}

compute::LossOptions OptionsOf(const std::string& text) {
  const auto options = LossOptionsFromProto(RequestWith(text));
  EXPECT_TRUE(options.ok()) << options.status();
  return options.value_or(compute::LossOptions());
}

WantedOutputs WantedOf(const std::string& text) {
  const auto wanted = WantedOutputsFromProto(RequestWith(text));
  EXPECT_TRUE(wanted.ok()) << wanted.status();
  return wanted.value_or(WantedOutputs());
}

TEST(LossOptionsTest, ReadsEveryReduction) {
  using compute::Reduction;
  EXPECT_EQ(OptionsOf("").reduction, Reduction::kMean);
  EXPECT_EQ(OptionsOf("reduction: REDUCTION_MEAN").reduction, Reduction::kMean);
  EXPECT_EQ(OptionsOf("reduction: REDUCTION_SUM").reduction, Reduction::kSum);
  EXPECT_EQ(OptionsOf("reduction: REDUCTION_NONE").reduction, Reduction::kNone);
}

TEST(LossOptionsTest, ReadsEveryNonFinitePolicy) {
  using compute::NonFinitePolicy;
  EXPECT_EQ(OptionsOf("").non_finite_policy, NonFinitePolicy::kReject);
  EXPECT_EQ(OptionsOf("non_finite_policy: NON_FINITE_POLICY_REJECT")
                .non_finite_policy,
            NonFinitePolicy::kReject);
  EXPECT_EQ(OptionsOf("non_finite_policy: NON_FINITE_POLICY_PROPAGATE")
                .non_finite_policy,
            NonFinitePolicy::kPropagate);
}

TEST(LossOptionsTest, RejectsUnknownEnumValues) {
  v1::ComputeLossRequest request = RequestWith();
  request.set_reduction(static_cast<v1::Reduction>(4));
  EXPECT_THAT(StatusOf(request),
              IsInvalid("reduction = 4, want a known Reduction", "reduction"));
  request = RequestWith();
  request.set_non_finite_policy(static_cast<v1::NonFinitePolicy>(-1));
  EXPECT_THAT(StatusOf(request),
              IsInvalid("non_finite_policy = -1, want a known NonFinitePolicy",
                        "non_finite_policy"));
}

TEST(LossOptionsTest, ReadsTheDivisor) {
  EXPECT_EQ(OptionsOf("").divisor, std::nullopt);
  EXPECT_EQ(OptionsOf("divisor: 2.5").divisor, 2.5);
  EXPECT_EQ(OptionsOf("divisor: 1e-100").divisor, 1e-100);
  EXPECT_EQ(OptionsOf("divisor: 1e100").divisor, 1e100);
}

TEST(LossOptionsTest, RejectsADivisorOutOfRange) {
  for (const std::string value : {"0", "-1", "nan", "inf", "-inf"}) {
    EXPECT_THAT(
        StatusOf(RequestWith("divisor: " + value)),
        IsInvalid("divisor = " + value + ", want [1e-100, 1e+100]", "divisor"));
  }
}

TEST(LossOptionsTest, RejectsADivisorWithoutTheMean) {
  for (const std::string reduction : {"REDUCTION_SUM", "REDUCTION_NONE"}) {
    EXPECT_THAT(
        StatusOf(RequestWith("divisor: 2 reduction: " + reduction)),
        IsInvalid("divisor = 2, want none: it is for the mean", "divisor"));
  }
}

TEST(WantedOutputsTest, AreLossAndGradientByDefault) {
  const WantedOutputs wanted = WantedOf("");
  EXPECT_TRUE(wanted.loss && wanted.gradient);
  EXPECT_FALSE(wanted.row_losses || wanted.log_sum_exp || wanted.predictions ||
               wanted.probabilities || wanted.log_probabilities);
}

TEST(WantedOutputsTest, AreThoseListedAndNoOthers) {
  const WantedOutputs loss = WantedOf("outputs: [OUTPUT_LOSS, OUTPUT_LOSS]");
  EXPECT_TRUE(loss.loss);
  EXPECT_FALSE(loss.gradient || loss.row_losses || loss.log_sum_exp ||
               loss.predictions || loss.probabilities ||
               loss.log_probabilities);
  const WantedOutputs others = WantedOf(
      "outputs: [OUTPUT_GRADIENT, OUTPUT_ROW_LOSSES, OUTPUT_LOG_SUM_EXP, "
      "OUTPUT_PREDICTIONS]");
  EXPECT_FALSE(others.loss || others.probabilities || others.log_probabilities);
  EXPECT_TRUE(others.gradient && others.row_losses && others.log_sum_exp &&
              others.predictions);
  const WantedOutputs p = WantedOf("outputs: OUTPUT_PROBABILITIES");
  EXPECT_TRUE(p.probabilities);
  EXPECT_FALSE(p.loss || p.gradient || p.log_probabilities);
  const WantedOutputs log_p = WantedOf("outputs: OUTPUT_LOG_PROBABILITIES");
  EXPECT_TRUE(log_p.log_probabilities);
  EXPECT_FALSE(log_p.loss || log_p.gradient || log_p.probabilities);
}

TEST(WantedOutputsTest, RejectUnspecifiedAndUnknownOnes) {
  EXPECT_THAT(
      StatusOf(RequestWith("outputs: [OUTPUT_LOSS, OUTPUT_UNSPECIFIED]")),
      IsInvalid("outputs[1] = OUTPUT_UNSPECIFIED, want an output",
                "outputs[1]"));
  v1::ComputeLossRequest request = RequestWith();
  request.add_outputs(static_cast<v1::Output>(8));
  EXPECT_THAT(StatusOf(request),
              IsInvalid("outputs[0] = 8, want a known Output", "outputs[0]"));
}

TEST(LossQueryTest, NamesALossOptionOutOfRange) {
  EXPECT_THAT(
      StatusOf(RequestWith("loss { kl_divergence { temperature: -1 } }")),
      IsInvalid("loss.kl_divergence.temperature = -1, want [1e-06, 1e+06]",
                "loss.kl_divergence.temperature"));
}

TEST(LossQueryTest, CarriesEveryPart) {
  const v1::ComputeLossRequest request = RequestWith(
      "loss { softmax_cross_entropy { ignore_index: 1 } } "
      "reduction: REDUCTION_SUM outputs: OUTPUT_LOSS");
  const auto query = LossQueryFromProto(Received(request));
  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_EQ(
      std::get<compute::SoftmaxCrossEntropy>(query->loss.spec).ignore_index, 1);
  EXPECT_EQ(query->options.reduction, compute::Reduction::kSum);
  EXPECT_EQ(query->batch.rows, 2);
  EXPECT_FALSE(query->wanted.gradient);
}

TEST(LossQueryTest, RejectsAnIgnoreIndexForProbabilities) {
  v1::ComputeLossRequest request =
      RequestWith("loss { softmax_cross_entropy { ignore_index: -100 } }");
  *request.mutable_labels() =
      FloatTensor(v1::DATA_TYPE_FLOAT32, {2, 3}, {1, 0, 0, 0, 0, 1});
  EXPECT_THAT(StatusOf(request),
              IsInvalid("loss.softmax_cross_entropy.ignore_index = -100, want "
                        "none: it is for class indices and the labels are "
                        "probabilities",
                        "loss.softmax_cross_entropy.ignore_index"));
  request.clear_loss();
  EXPECT_TRUE(StatusOf(request).ok());
}

TEST(LossOutputsTest, GiveEachTensorItsShapeAndType) {
  const v1::ComputeLossRequest request = FromText<v1::ComputeLossRequest>(R"(
      logits { shape: [ 2, 1, 3 ] float_values { values: [ 1, 2, 3, 4, 5, 6 ] } }
      labels { shape: [ 2, 1 ] int64_values { values: [ 0, 2 ] } }
      outputs: [ OUTPUT_GRADIENT, OUTPUT_ROW_LOSSES, OUTPUT_LOG_SUM_EXP,
                 OUTPUT_PREDICTIONS, OUTPUT_PROBABILITIES,
                 OUTPUT_LOG_PROBABILITIES ]
      gradient_data_type: DATA_TYPE_FLOAT16)");
  const auto query = LossQueryFromProto(Received(request));
  ASSERT_TRUE(query.ok()) << query.status();
  wire::LossResponse response;
  const auto outputs = LossOutputsToProto(*query, response);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_EQ(outputs->gradient.size(), 12u);
  EXPECT_EQ(outputs->probabilities.size(), 24u);
  EXPECT_EQ(outputs->log_probabilities.size(), 24u);
  EXPECT_EQ(outputs->row_losses.size(), 8u);
  EXPECT_EQ(outputs->log_sum_exp.size(), 8u);
  EXPECT_EQ(outputs->predictions.size(), 16u);
  const std::byte* const places[] = {
      outputs->gradient.data(),          outputs->probabilities.data(),
      outputs->log_probabilities.data(), outputs->row_losses.data(),
      outputs->log_sum_exp.data(),       outputs->predictions.data()};
  ASSERT_EQ(response.tensors.size(), 6u);
  for (const wire::OutgoingTensor& tensor : response.tensors) {
    EXPECT_THAT(places, Contains(tensor.raw.bytes().data()));
  }
  const v1::ComputeLossResponse sent = Sent(std::move(response));
  EXPECT_THAT(ShapeOf(sent.gradient()), ElementsAre(2, 1, 3));
  EXPECT_THAT(ShapeOf(sent.probabilities()), ElementsAre(2, 1, 3));
  EXPECT_THAT(ShapeOf(sent.log_probabilities()), ElementsAre(2, 1, 3));
  EXPECT_THAT(ShapeOf(sent.row_losses()), ElementsAre(2, 1));
  EXPECT_THAT(ShapeOf(sent.log_sum_exp()), ElementsAre(2, 1));
  EXPECT_THAT(ShapeOf(sent.predictions()), ElementsAre(2, 1));
  EXPECT_EQ(sent.gradient().data_type(), v1::DATA_TYPE_FLOAT16);
  EXPECT_EQ(sent.probabilities().data_type(), v1::DATA_TYPE_FLOAT32);
  EXPECT_EQ(sent.log_probabilities().data_type(), v1::DATA_TYPE_FLOAT32);
  EXPECT_EQ(sent.predictions().data_type(), v1::DATA_TYPE_INT64);
}

TEST(LossOutputsTest, GiveTheGradientItsOwnType) {
  const v1::ComputeLossRequest request = RequestWith(
      "gradient_data_type: DATA_TYPE_BFLOAT16 "
      "outputs: [ OUTPUT_GRADIENT, OUTPUT_ROW_LOSSES ]");
  const auto query = LossQueryFromProto(Received(request));
  ASSERT_TRUE(query.ok()) << query.status();
  wire::LossResponse response;
  // 1024 bytes of overhead, 60 for each of two axes, 12 and 8 of contents.
  EXPECT_FALSE(LossOutputsToProto(*query, response, 1163).ok());
  const auto outputs = LossOutputsToProto(*query, response, 1164);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_EQ(outputs->gradient_type, compute::ElementType::kBFloat16);
  EXPECT_EQ(outputs->gradient.size(), 12u);
  const v1::ComputeLossResponse sent = Sent(std::move(response));
  EXPECT_EQ(sent.gradient().data_type(), v1::DATA_TYPE_BFLOAT16);
  EXPECT_EQ(sent.row_losses().data_type(), v1::DATA_TYPE_FLOAT32);
}

TEST(LossOutputsTest, AreOfTheLogitsTypeByDefault) {
  for (const v1::DataType type :
       {v1::DATA_TYPE_FLOAT16, v1::DATA_TYPE_BFLOAT16, v1::DATA_TYPE_FLOAT32,
        v1::DATA_TYPE_FLOAT64}) {
    v1::ComputeLossRequest request = ZerosRequest(2, 3);
    request.mutable_logits()->set_data_type(type);
    request.mutable_logits()->set_raw(std::string(6 * ElementBytes(type), 0));
    for (const v1::Output output :
         {v1::OUTPUT_GRADIENT, v1::OUTPUT_ROW_LOSSES, v1::OUTPUT_LOG_SUM_EXP}) {
      request.add_outputs(output);
    }
    const auto query = LossQueryFromProto(Received(request));
    ASSERT_TRUE(query.ok()) << query.status();
    wire::LossResponse response;
    ASSERT_TRUE(LossOutputsToProto(*query, response).ok());
    const v1::ComputeLossResponse sent = Sent(std::move(response));
    for (const v1::Tensor* tensor :
         {&sent.gradient(), &sent.row_losses(), &sent.log_sum_exp()}) {
      EXPECT_EQ(tensor->data_type(), type);
    }
    EXPECT_EQ(sent.gradient().raw().size(), 6u * ElementBytes(type));
    EXPECT_EQ(sent.row_losses().raw().size(), 2u * ElementBytes(type));
  }
}

TEST(LossOutputsTest, AllocateNothingThatIsNotAskedFor) {
  const v1::ComputeLossRequest request = RequestWith("outputs: OUTPUT_LOSS");
  const auto query = LossQueryFromProto(Received(request));
  ASSERT_TRUE(query.ok()) << query.status();
  wire::LossResponse response;
  const auto outputs = LossOutputsToProto(*query, response);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_TRUE(outputs->gradient.empty());
  EXPECT_THAT(response.tensors, IsEmpty());
}

TEST(LossOutputsTest, RefuseAResponseThatNoMessageHolds) {
  const v1::ComputeLossRequest request = RequestWith();
  auto query = LossQueryFromProto(Received(request));
  ASSERT_TRUE(query.ok()) << query.status();
  wire::LossResponse response;
  // 1024 bytes of overhead, 60 for each of two axes, 24 of gradient.
  EXPECT_TRUE(LossOutputsToProto(*query, response, 1168).ok());
  EXPECT_THAT(
      LossOutputsToProto(*query, response, 1167).status(),
      IsError(absl::StatusCode::kResourceExhausted,
              std::string("response of 1168 bytes, one message holds at "
                          "most 1167; ask for fewer outputs or send the "
                          "batch in chunks by StreamLoss"),
              std::string("outputs")));
  query->wanted.predictions = true;
  EXPECT_FALSE(LossOutputsToProto(*query, response, 1168).ok());
}

// 24 bytes of gradient, and as many of each of the others.
TEST(LossOutputsTest, CountProbabilitiesAsTheGradient) {
  const v1::ComputeLossRequest request = RequestWith(
      "outputs: [ OUTPUT_GRADIENT, OUTPUT_PROBABILITIES, "
      "OUTPUT_LOG_PROBABILITIES ]");
  const auto query = LossQueryFromProto(Received(request));
  ASSERT_TRUE(query.ok()) << query.status();
  wire::LossResponse response;
  EXPECT_FALSE(LossOutputsToProto(*query, response, 1215).ok());
  EXPECT_THAT(response.tensors, IsEmpty());
  EXPECT_TRUE(LossOutputsToProto(*query, response, 1216).ok());
}

TEST(LossSummaryTest, FillsTheNumbers) {
  const v1::ComputeLossRequest request = RequestWith();
  const auto query = LossQueryFromProto(Received(request));
  wire::LossResponse response;
  LossSummaryToProto(
      *query, {.loss = 0.5, .row_count = 2, .correct_count = 1, .divisor = 2},
      response);
  EXPECT_EQ(response.fields.loss(), 0.5);
  EXPECT_EQ(response.fields.row_count(), 2);
  EXPECT_EQ(response.fields.correct_count(), 1);
  EXPECT_EQ(response.fields.divisor(), 2);
}

TEST(LossSummaryTest, CountsNoRowAsCorrectWithoutClassIndices) {
  v1::ComputeLossRequest request = RequestWith();
  *request.mutable_labels() =
      FloatTensor(v1::DATA_TYPE_FLOAT32, {2, 3}, {1, 0, 0, 0, 0, 1});
  const auto query = LossQueryFromProto(Received(request));
  ASSERT_TRUE(query.ok()) << query.status();
  wire::LossResponse response;
  LossSummaryToProto(*query, {.loss = 0.5, .row_count = 2, .correct_count = 1},
                     response);
  EXPECT_EQ(response.fields.correct_count(), 0);
  EXPECT_EQ(response.fields.row_count(), 2);
}

TEST(LossSummaryTest, LeavesOutALossNotComputedOrNotAskedFor) {
  wire::LossResponse response;
  const v1::ComputeLossRequest request = RequestWith();
  LossSummaryToProto(*LossQueryFromProto(Received(request)),
                     {.loss = std::nullopt}, response);
  EXPECT_FALSE(response.fields.has_loss());
  const v1::ComputeLossRequest gradient_only =
      RequestWith("outputs: OUTPUT_GRADIENT");
  LossSummaryToProto(*LossQueryFromProto(Received(gradient_only)),
                     {.loss = 0.5}, response);
  EXPECT_FALSE(response.fields.has_loss());
}

}  // namespace
}  // namespace lossd::rpc
