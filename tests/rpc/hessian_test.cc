// Requests for Hessian-vector products: what is taken, what is refused, and
// where the product lies.
#include "server/rpc/hessian.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/rpc/requests.h"

namespace lossd::rpc {
namespace {

using ::testing::ElementsAre;

// RequestWith(more), and a vector of its shape and type.
v1::ComputeHessianVectorProductRequest HessianRequest(
    const std::string& more = "") {
  v1::ComputeHessianVectorProductRequest request;
  *request.mutable_base() = RequestWith(more);
  *request.mutable_vector() =
      FloatTensor(v1::DATA_TYPE_FLOAT32, {2, 3}, {1, 2, 3, 4, 5, 6});
  return request;
}

absl::Status StatusOf(const v1::ComputeHessianVectorProductRequest& request) {
  return HessianQueryFromProto(Received(request)).status();
}

TEST(HessianQueryTest, ViewsTheVectorInPlace) {
  const wire::HessianRequest& received = Received(HessianRequest());
  const auto query = HessianQueryFromProto(received);
  ASSERT_TRUE(query.ok()) << query.status();
  ASSERT_EQ(query->vector.size(), 1u);
  EXPECT_EQ(query->vector[0].data(),
            received.vector->elements.pieces()[0].data());
  EXPECT_TRUE(received.vector->elements.is_view());
  EXPECT_EQ(query->vector[0].size(), 24u);
  EXPECT_EQ(query->base.batch.rows, 2);
  EXPECT_FALSE(query->base.wanted.loss || query->base.wanted.gradient);
}

TEST(HessianQueryTest, MovesTheVectorAsTheLogits) {
  const auto request = HessianRequest("class_axis: 0 labels { shape: [] }");
  auto moved = request;
  moved.mutable_base()->mutable_labels()->set_shape(0, 3);
  moved.mutable_base()->mutable_labels()->mutable_int64_values()->add_values(1);
  const auto query = HessianQueryFromProto(Received(moved));
  ASSERT_TRUE(query.ok()) << query.status();
  std::vector<float> vector(6);
  std::memcpy(vector.data(), query->vector[0].data(), 24);
  EXPECT_THAT(vector, ElementsAre(1, 4, 2, 5, 3, 6));
}

TEST(HessianQueryTest, WantsABaseAndAVector) {
  EXPECT_THAT(StatusOf({}), IsInvalid("base: missing, want a batch", "base"));
  auto request = HessianRequest();
  request.clear_vector();
  EXPECT_THAT(StatusOf(request),
              IsInvalid("vector: missing, want a tensor", "vector"));
  request.mutable_vector()->add_shape(1);
  EXPECT_THAT(StatusOf(request),
              IsInvalid("vector: missing, want one of raw, float_values and "
                        "int64_values",
                        "vector"));
}

TEST(HessianQueryTest, RejectsAVectorOfAnotherShape) {
  auto request = HessianRequest();
  request.mutable_vector()->set_shape(0, 3);
  request.mutable_vector()->set_shape(1, 2);
  EXPECT_THAT(StatusOf(request),
              IsInvalid("vector.shape = [3, 2], want the logits' [2, 3]",
                        "vector.shape"));
  *request.mutable_vector() =
      FloatTensor(v1::DATA_TYPE_FLOAT32, {6}, {1, 2, 3, 4, 5, 6});
  EXPECT_THAT(
      StatusOf(request),
      IsInvalid("vector.shape = [6], want the logits' [2, 3]", "vector.shape"));
}

TEST(HessianQueryTest, RejectsAVectorOfAnotherType) {
  for (const v1::DataType type :
       {v1::DATA_TYPE_FLOAT64, v1::DATA_TYPE_FLOAT16, v1::DATA_TYPE_BFLOAT16}) {
    auto request = HessianRequest();
    *request.mutable_vector() = FloatTensor(type, {2, 3}, {1, 2, 3, 4, 5, 6});
    EXPECT_THAT(StatusOf(request),
                IsInvalid("vector.data_type = " + NameOf(type) +
                              ", want the logits' FLOAT32",
                          "vector.data_type"));
  }
  auto request = HessianRequest();
  request.mutable_vector()->set_data_type(v1::DATA_TYPE_INT32);
  EXPECT_THAT(StatusOf(request),
              IsInvalid("vector.data_type = INT32, want the logits' FLOAT32",
                        "vector.data_type"));
}

TEST(HessianQueryTest, RejectsAVectorOfAnotherLength) {
  auto request = HessianRequest();
  request.mutable_vector()->mutable_raw()->pop_back();
  EXPECT_THAT(StatusOf(request),
              IsInvalid("vector.raw: 23 bytes, want 24 (shape [2, 3] of "
                        "FLOAT32)",
                        "vector.raw"));
}

TEST(HessianQueryTest, NamesFieldsOfTheBaseFromTheRoot) {
  EXPECT_THAT(
      StatusOf(HessianRequest("class_axis: 2")),
      IsInvalid("base.class_axis = 2, want [-2, 2)", "base.class_axis"));
  EXPECT_THAT(
      StatusOf(HessianRequest("loss { softmax_focal { gamma: -1 } }")),
      IsInvalid("base.loss.softmax_focal.gamma = -1, want 0 or [2^-100, 2^100]",
                "base.loss.softmax_focal.gamma"));
  const auto status = StatusOf(HessianRequest("class_axis: 2"));
  const auto metadata = compute::DetailsOf(status).metadata;
  EXPECT_THAT(metadata,
              ::testing::Contains(::testing::Pair("field", "base.class_axis")));
}

TEST(HessianQueryTest, DoesNotLookAtTheOutputs) {
  auto request = HessianRequest();
  request.mutable_base()->add_outputs(v1::OUTPUT_UNSPECIFIED);
  request.mutable_base()->add_outputs(static_cast<v1::Output>(99));
  EXPECT_TRUE(StatusOf(request).ok()) << StatusOf(request);
}

TEST(HessianQueryTest, NamesALossWithoutSecondOrder) {
  EXPECT_THAT(StatusOf(HessianRequest("loss { multiclass_hinge {} }")),
              IsNotBuilt("loss \"multiclass_hinge\" has no second order in "
                         "this build",
                         "base.loss.multiclass_hinge"));
}

// What is wrong in any build comes first.
TEST(HessianQueryTest, FindsABadVectorBeforeWhatIsNotBuilt) {
  auto request = HessianRequest("loss { multiclass_hinge {} }");
  request.mutable_vector()->set_shape(0, 3);
  request.mutable_vector()->set_shape(1, 2);
  EXPECT_EQ(StatusOf(request).code(), absl::StatusCode::kInvalidArgument);
}

TEST(ProductToProtoTest, TakesTheLogitsShapeAndType) {
  const auto request = HessianRequest("gradient_data_type: DATA_TYPE_BFLOAT16");
  const auto query = HessianQueryFromProto(Received(request));
  ASSERT_TRUE(query.ok()) << query.status();
  const auto product = ProductToProto(*query);
  ASSERT_TRUE(product.ok()) << product.status();
  EXPECT_EQ(product->raw.size(), 24u);
  EXPECT_EQ(product->data_type, v1::DATA_TYPE_FLOAT32);
  EXPECT_THAT(product->shape, ElementsAre(2, 3));
}

TEST(ProductToProtoTest, FitsIntoOneMessage) {
  const auto request = HessianRequest();
  const auto query = HessianQueryFromProto(Received(request));
  ASSERT_TRUE(query.ok()) << query.status();
  const int64_t bytes = 24 + ResponseOverheadBytes(query->base.batch);
  EXPECT_TRUE(ProductToProto(*query, bytes).ok());
  const auto refused = ProductToProto(*query, bytes - 1);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(HessianErrorTest, PutsTheCoresFieldsUnderTheBase) {
  const auto error = [](const std::string& field, const std::string& message) {
    return HessianErrorToProto(compute::MakeError(
        absl::StatusCode::kInvalidArgument, message, {"REASON", field, {}}));
  };
  EXPECT_THAT(error("labels", "labels[7] = 9, want [0, 9)"),
              IsInvalid("base.labels[7] = 9, want [0, 9)", "base.labels"));
  EXPECT_THAT(error("vector", "vector[0, 1] = nan"),
              IsInvalid("vector[0, 1] = nan", "vector"));
  EXPECT_EQ(HessianErrorToProto(absl::CancelledError("gone")),
            absl::CancelledError("gone"));
}

}  // namespace
}  // namespace lossd::rpc
