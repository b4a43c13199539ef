// Every loss and option of the contract, as the client sends it.
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
using testing::Recorder;
using testing::SetRaw;
using testing::Values;

const std::vector<double> kLogits = {1, 2, 3, 4, 5, 6};
const std::vector<int64_t> kLabels = {2, 0};
const std::vector<double> kTargets = {0.5, 0.5, 0, 0, 0.25, 0.75};
const std::vector<double> kWeights = {1, 0.5, 2};
const Batch<double> kIndexBatch = {
    .rows = 2, .classes = 3, .logits = kLogits, .labels = kLabels};
const Batch<double> kTargetBatch = {
    .rows = 2, .classes = 3, .logits = kLogits, .targets = kTargets};

CallOptions Soon() { return CallOptions(absl::Seconds(30)); }

class ClientLossTest : public ::testing::Test {
 protected:
  absl::Status Compute(const Batch<double>& batch, const LossOptions& options) {
    return client_.ComputeLoss<double>(batch, options, Soon(), {}).status();
  }
  // What arrives for `loss`.
  v1::LossSpec Sent(const LossSpec& loss) {
    const bool indices = LabelKindOf(loss) != LabelKind::kTargets;
    const absl::Status status =
        Compute(indices ? kIndexBatch : kTargetBatch, {.loss = loss});
    EXPECT_TRUE(status.ok()) << status;
    return recorder_.request().loss();
  }
  // The message with which `batch` is refused before anything is sent.
  std::string Refusal(const Batch<double>& batch,
                      const LossOptions& options = {}) {
    const absl::Status status = Compute(batch, options);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_EQ(recorder_.server().calls(), 0);
    return std::string(status.message());
  }

  Recorder recorder_;
  Client client_ = *Client::Connect(
      {.target = recorder_.target(), .retry = {.max_attempts = 1}});
};

TEST_F(ClientLossTest, HasEveryLossOfTheContractByItsName) {
  const auto* descriptor = v1::LossSpec::descriptor();
  const std::vector<std::string> names = LossNames();
  ASSERT_EQ(static_cast<int>(names.size()), descriptor->field_count());
  for (int i = 0; i < descriptor->field_count(); ++i) {
    EXPECT_EQ(names[i], descriptor->field(i)->name());
    const auto loss = LossNamed(names[i]);
    ASSERT_TRUE(loss.has_value());
    EXPECT_EQ(LossName(*loss), names[i]);
    const v1::LossSpec sent = Sent(*loss);
    EXPECT_EQ(v1::LossSpec::GetReflection()
                  ->GetOneofFieldDescriptor(sent, descriptor->oneof_decl(0))
                  ->name(),
              names[i]);
  }
  EXPECT_FALSE(LossNamed("hubris").has_value());
}

TEST_F(ClientLossTest, SendsEveryOptionOfSoftmaxCrossEntropy) {
  const auto sent = Sent(SoftmaxCrossEntropy{.label_smoothing = 0.125,
                                             .class_weights = kWeights,
                                             .ignore_index = 1,
                                             .z_loss = 0.25,
                                             .logit_scale = 3,
                                             .logit_softcap = 30})
                        .softmax_cross_entropy();
  EXPECT_EQ(sent.label_smoothing(), 0.125);
  EXPECT_EQ(sent.class_weights().data_type(), v1::DATA_TYPE_FLOAT64);
  EXPECT_THAT(sent.class_weights().shape(), ElementsAre(3));
  EXPECT_EQ(Values<double>(sent.class_weights()), kWeights);
  EXPECT_EQ(sent.ignore_index(), 1);
  EXPECT_EQ(sent.z_loss(), 0.25);
  EXPECT_EQ(sent.logit_scale(), 3);
  EXPECT_EQ(sent.logit_softcap(), 30);
}

TEST_F(ClientLossTest, SendsNothingOfSoftmaxCrossEntropyThatIsNotSet) {
  const auto sent = Sent(SoftmaxCrossEntropy{}).softmax_cross_entropy();
  EXPECT_EQ(sent.ByteSizeLong(), 0);
}

TEST_F(ClientLossTest, SendsEveryOptionOfTheLossesOverClassIndices) {
  const auto likelihood =
      Sent(NegativeLogLikelihood{.class_weights = kWeights, .ignore_index = -1})
          .negative_log_likelihood();
  EXPECT_EQ(Values<double>(likelihood.class_weights()), kWeights);
  EXPECT_EQ(likelihood.ignore_index(), -1);

  const auto focal =
      Sent(SoftmaxFocal{
               .gamma = 0.5, .class_weights = kWeights, .ignore_index = 2})
          .softmax_focal();
  EXPECT_EQ(focal.gamma(), 0.5);
  EXPECT_EQ(Values<double>(focal.class_weights()), kWeights);
  EXPECT_EQ(focal.ignore_index(), 2);

  const auto hinge =
      Sent(MulticlassHinge{.margin = -0.5, .power = 2}).multiclass_hinge();
  EXPECT_EQ(hinge.margin(), -0.5);
  EXPECT_EQ(hinge.power(), 2);
}

TEST_F(ClientLossTest, SendsEveryOptionOfTheLossesOverTargets) {
  const auto sigmoid = Sent(SigmoidCrossEntropy{.positive_weights = kWeights,
                                                .label_smoothing = 0.5})
                           .sigmoid_cross_entropy();
  EXPECT_EQ(Values<double>(sigmoid.positive_weights()), kWeights);
  EXPECT_EQ(sigmoid.label_smoothing(), 0.5);

  const auto divergence =
      Sent(KlDivergence{.temperature = 4, .targets_are_logits = true})
          .kl_divergence();
  EXPECT_EQ(divergence.temperature(), 4);
  EXPECT_TRUE(divergence.targets_are_logits());

  const auto focal =
      Sent(SigmoidFocal{.gamma = 0, .alpha = 0.25}).sigmoid_focal();
  EXPECT_TRUE(focal.has_gamma());
  EXPECT_EQ(focal.gamma(), 0);
  EXPECT_EQ(focal.alpha(), 0.25);
  EXPECT_FALSE(Sent(SigmoidFocal{}).sigmoid_focal().has_alpha());

  EXPECT_EQ(Sent(Huber{.delta = 0.75}).huber().delta(), 0.75);
}

// The contract's own defaults, said or not.
TEST_F(ClientLossTest, HasTheContractsDefaults) {
  EXPECT_EQ(Sent(SoftmaxFocal{}).softmax_focal().gamma(), 2);
  EXPECT_EQ(Sent(SigmoidFocal{}).sigmoid_focal().gamma(), 2);
  EXPECT_EQ(Sent(KlDivergence{}).kl_divergence().temperature(), 1);
  EXPECT_FALSE(Sent(KlDivergence{}).kl_divergence().targets_are_logits());
  EXPECT_EQ(Sent(MulticlassHinge{}).multiclass_hinge().margin(), 1);
  EXPECT_EQ(Sent(MulticlassHinge{}).multiclass_hinge().power(), 1);
  EXPECT_EQ(Sent(Huber{}).huber().delta(), 1);
}

TEST_F(ClientLossTest, SendsTargetsOfTheLogitsShapeAndType) {
  ASSERT_TRUE(Compute(kTargetBatch, {}).ok());
  const v1::Tensor labels = recorder_.request().labels();
  EXPECT_EQ(labels.data_type(), v1::DATA_TYPE_FLOAT64);
  EXPECT_THAT(labels.shape(), ElementsAre(2, 3));
  EXPECT_EQ(Values<double>(labels), kTargets);
}

TEST_F(ClientLossTest, SendsRowWeightsAndUpstreamGradient) {
  const std::vector<double> row_weights = {0, 2};
  const std::vector<double> upstream = {-1, 0.5};
  Batch<double> batch = kIndexBatch;
  batch.row_weights = row_weights;
  batch.upstream_gradient = upstream;
  ASSERT_TRUE(Compute(batch, {}).ok());
  v1::ComputeLossRequest request = recorder_.request();
  EXPECT_EQ(request.row_weights().data_type(), v1::DATA_TYPE_FLOAT64);
  EXPECT_THAT(request.row_weights().shape(), ElementsAre(2));
  EXPECT_EQ(Values<double>(request.row_weights()), row_weights);
  EXPECT_THAT(request.upstream_gradient().shape(), ElementsAre(2));
  EXPECT_EQ(Values<double>(request.upstream_gradient()), upstream);

  batch.upstream_gradient = batch.upstream_gradient.subspan(1);
  ASSERT_TRUE(Compute(batch, {}).ok());
  request = recorder_.request();
  EXPECT_THAT(request.upstream_gradient().shape(), ElementsAre(1));
  EXPECT_THAT(Values<double>(request.upstream_gradient()), ElementsAre(0.5));

  ASSERT_TRUE(Compute(kIndexBatch, {}).ok());
  EXPECT_FALSE(recorder_.request().has_row_weights());
  EXPECT_FALSE(recorder_.request().has_upstream_gradient());
}

TEST_F(ClientLossTest, SendsNoRowsAsWhatTheLossTakes) {
  const Batch<double> none = {.rows = 0, .classes = 3};
  ASSERT_TRUE(Compute(none, {.loss = MulticlassHinge{}}).ok());
  EXPECT_EQ(recorder_.request().labels().data_type(), v1::DATA_TYPE_INT64);
  EXPECT_THAT(recorder_.request().labels().shape(), ElementsAre(0));
  ASSERT_TRUE(Compute(none, {.loss = SquaredError{}}).ok());
  EXPECT_EQ(recorder_.request().labels().data_type(), v1::DATA_TYPE_FLOAT64);
  EXPECT_THAT(recorder_.request().labels().shape(), ElementsAre(0, 3));
}

TEST_F(ClientLossTest, RefusesBothLabelsAndTargetsOrNeither) {
  Batch<double> batch = kIndexBatch;
  batch.targets = kTargets;
  EXPECT_EQ(Refusal(batch), "labels and targets were given, want one of them");
  batch.targets = {};
  batch.labels = {};
  EXPECT_EQ(Refusal(batch),
            "neither labels nor targets were given, want one of them");
}

TEST_F(ClientLossTest, RefusesWrongSizesOfTargetsAndFactors) {
  const std::vector<double> four(4);
  Batch<double> batch = kTargetBatch;
  batch.targets = four;
  EXPECT_EQ(Refusal(batch), "targets has 4 elements, want 6");
  batch = kIndexBatch;
  batch.row_weights = four;
  EXPECT_EQ(Refusal(batch), "row_weights has 4 elements, want 2");
  batch = kIndexBatch;
  batch.upstream_gradient = four;
  EXPECT_EQ(Refusal(batch), "upstream_gradient has 4 elements, want 2");
  EXPECT_EQ(Refusal({.rows = 0, .classes = 3, .targets = four}),
            "targets has 4 elements, want 0");
}

TEST_F(ClientLossTest, RefusesWeightsThatAreNotOnePerClass) {
  const std::vector<double> two(2);
  const std::string class_weights = "class_weights has 2 elements, want 3";
  EXPECT_EQ(
      Refusal(kIndexBatch, {.loss = SoftmaxCrossEntropy{.class_weights = two}}),
      class_weights);
  EXPECT_EQ(Refusal(kIndexBatch,
                    {.loss = NegativeLogLikelihood{.class_weights = two}}),
            class_weights);
  EXPECT_EQ(Refusal(kIndexBatch, {.loss = SoftmaxFocal{.class_weights = two}}),
            class_weights);
  EXPECT_EQ(Refusal(kTargetBatch,
                    {.loss = SigmoidCrossEntropy{.positive_weights = two}}),
            "positive_weights has 2 elements, want 3");
}

TEST_F(ClientLossTest, MultipliesTheHessianByAVector) {
  const std::vector<double> vector = {1, 0, 0, 0, 0, -1};
  v1::ComputeHessianVectorProductResponse response;
  SetRaw(response.mutable_product(), v1::DATA_TYPE_FLOAT64, kTargets);
  recorder_.Answer(response);
  std::vector<double> product(6);
  const absl::Status status = client_.ComputeHessianVectorProduct<double>(
      kIndexBatch, {.loss = SoftmaxCrossEntropy{.z_loss = 0.5}}, vector, Soon(),
      absl::MakeSpan(product));
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(product, kTargets);
  const auto request = recorder_.hessian_request();
  EXPECT_EQ(request.base().loss().softmax_cross_entropy().z_loss(), 0.5);
  EXPECT_EQ(Values<double>(request.base().logits()), kLogits);
  EXPECT_EQ(Values<int64_t>(request.base().labels()), kLabels);
  EXPECT_THAT(request.vector().shape(), ElementsAre(2, 3));
  EXPECT_EQ(Values<double>(request.vector()), vector);
}

TEST_F(ClientLossTest, RefusesAVectorOrAProductOfAnotherSize) {
  std::vector<double> five(5), six(6);
  const auto message = [&](std::vector<double>& vector,
                           std::vector<double>& product) {
    const absl::Status status = client_.ComputeHessianVectorProduct<double>(
        kIndexBatch, {}, vector, Soon(), absl::MakeSpan(product));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_EQ(message(five, six), "vector has 5 elements, want 6");
  EXPECT_EQ(message(six, five), "product has 5 elements, want 6");
  EXPECT_EQ(recorder_.server().calls(), 0);
}

TEST_F(ClientLossTest, PassesOnThatTheServerHasNoSecondOrder) {
  testing::FakeServer server(
      [](auto&, const auto&, auto&) { return grpc::Status::OK; });
  std::vector<double> product(6);
  const absl::Status status =
      Client::Connect({.target = server.target()})
          ->ComputeHessianVectorProduct<double>(
              kIndexBatch, {}, kLogits, Soon(), absl::MakeSpan(product));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(status.message(), "no second order");
}

}  // namespace
}  // namespace lossd
