#include "server/rpc/batch.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <utility>
#include <variant>

#include "tests/rpc/batches.h"
#include "tests/rpc/requests.h"

namespace lossd::rpc {
namespace {

TEST(BatchTest, ViewsLogitsAndLabels) {
  const wire::LossRequest& received = Received(RequestWith());
  const auto view = BatchFromProto(received);
  ASSERT_TRUE(view.ok()) << view.status();
  const compute::Batch batch = view->batch();
  EXPECT_EQ(batch.rows, 2);
  EXPECT_EQ(batch.classes, 3);
  EXPECT_EQ(batch.logits_type, compute::ElementType::kFloat32);
  EXPECT_TRUE(received.logits->elements.is_view());
  EXPECT_EQ(batch.logits.data(), received.logits->elements.pieces().data());
  const auto& labels = std::get<compute::ClassIndices>(batch.labels);
  ASSERT_EQ(labels.size(), 2);
  EXPECT_EQ(labels[0], 0);
  EXPECT_EQ(labels[1], 2);
}

TEST(BatchTest, ReadsInt32Labels) {
  v1::ComputeLossRequest request = RequestOf({2, 3}, {2});
  request.mutable_labels()->set_raw(RawBytes<int32_t>({2, -100}));
  const Converted converted = Convert(request);
  ASSERT_TRUE(converted.status.ok()) << converted.status;
  EXPECT_EQ(converted.view.labels[0], 2);
  EXPECT_EQ(converted.view.labels[1], -100);
}

TEST(BatchTest, ReadsFloat64Logits) {
  v1::ComputeLossRequest request = RequestOf({2, 3}, {2});
  SetRaw(*request.mutable_logits(), v1::DATA_TYPE_FLOAT64, {2, 3}, 48);
  const Converted converted = Convert(request);
  ASSERT_TRUE(converted.status.ok()) << converted.status;
  EXPECT_EQ(converted.view.logits_type, compute::ElementType::kFloat64);
}

TEST(BatchTest, TakesRankOneAsOneRowWithAScalarLabel) {
  const v1::ComputeLossRequest request = RequestOf({3}, {});
  const Converted converted = Convert(request);
  ASSERT_TRUE(converted.status.ok()) << converted.status;
  EXPECT_EQ(converted.view.rows, 1);
  EXPECT_TRUE(converted.view.rows_shape.empty());
  EXPECT_THAT(Convert(RequestOf({3}, {1})).status,
              IsInvalid("labels.shape = [1], want []", "labels.shape"));
}

TEST(BatchTest, TakesAllAxesButTheLastAsRows) {
  const v1::ComputeLossRequest request = RequestOf({2, 5, 3}, {2, 5});
  const Converted converted = Convert(request);
  ASSERT_TRUE(converted.status.ok()) << converted.status;
  EXPECT_EQ(converted.view.rows, 10);
  EXPECT_EQ(converted.view.classes, 3);
  EXPECT_THAT(Convert(RequestOf({2, 5, 3}, {10})).status,
              IsInvalid("labels.shape = [10], want [2, 5]", "labels.shape"));
}

TEST(BatchTest, TakesZeroRows) {
  const v1::ComputeLossRequest request = RequestOf({0, 3}, {0});
  const Converted converted = Convert(request);
  ASSERT_TRUE(converted.status.ok()) << converted.status;
  EXPECT_EQ(converted.view.rows, 0);
}

TEST(BatchTest, RejectsAnEmptyClassAxis) {
  EXPECT_TRUE(Convert(RequestOf({2, 1}, {2})).status.ok());
  EXPECT_THAT(Convert(RequestOf({2, 0}, {2})).status,
              IsInvalid("logits.shape[1] = 0, want >= 1 (the class axis)",
                        "logits.shape[1]"));
}

TEST(BatchTest, RejectsScalarLogits) {
  EXPECT_THAT(Convert(RequestOf({}, {})).status,
              IsInvalid("logits.shape = [], want rank >= 1", "logits.shape"));
}

TEST(BatchTest, RejectsMissingTensors) {
  EXPECT_THAT(Convert(v1::ComputeLossRequest()).status,
              IsInvalid("logits: missing, want a tensor", "logits"));
  v1::ComputeLossRequest request = RequestWith();
  request.clear_labels();
  EXPECT_THAT(Convert(request).status,
              IsInvalid("labels: missing, want a tensor", "labels"));
}

TEST(BatchTest, TakesTheLastAxisByEitherName) {
  for (const int axis : {1, -1}) {
    v1::ComputeLossRequest request = RequestWith();
    request.set_class_axis(axis);
    EXPECT_TRUE(Convert(request).status.ok()) << axis;
    EXPECT_TRUE(Convert(request).status.ok()) << axis;
  }
}

TEST(BatchTest, RejectsAClassAxisOnePastTheRank) {
  for (const int axis : {2, -3, 2147483647, -2147483647 - 1}) {
    v1::ComputeLossRequest request = RequestWith();
    request.set_class_axis(axis);
    EXPECT_THAT(
        Convert(request).status,
        IsInvalid("class_axis = " + std::to_string(axis) + ", want [-2, 2)",
                  "class_axis"));
  }
}

TEST(BatchTest, ViewsLogitsOfEveryFloatType) {
  for (const auto& [type, element_type, bytes] :
       {std::tuple{v1::DATA_TYPE_FLOAT16, compute::ElementType::kFloat16, 12},
        std::tuple{v1::DATA_TYPE_BFLOAT16, compute::ElementType::kBFloat16, 12},
        std::tuple{v1::DATA_TYPE_FLOAT32, compute::ElementType::kFloat32, 24},
        std::tuple{v1::DATA_TYPE_FLOAT64, compute::ElementType::kFloat64,
                   48}}) {
    v1::ComputeLossRequest request = RequestOf({2, 3}, {2});
    SetRaw(*request.mutable_logits(), type, {2, 3}, bytes);
    const Converted converted = Convert(request);
    EXPECT_TRUE(converted.status.ok()) << converted.status;
    EXPECT_EQ(converted.view.logits_type, element_type);
    EXPECT_EQ(converted.view.gradient_type, element_type);
  }
}

TEST(BatchTest, RejectsIntegerLogits) {
  v1::ComputeLossRequest request = RequestOf({2, 3}, {2});
  SetRaw(*request.mutable_logits(), v1::DATA_TYPE_INT32, {2, 3}, 24);
  EXPECT_THAT(Convert(request).status,
              IsInvalid("logits.data_type = INT32, want a float type",
                        "logits.data_type"));
}

TEST(BatchTest, TakesTheLogitsTypeForTheGradient) {
  const Converted converted =
      Convert(RequestWith("gradient_data_type: DATA_TYPE_FLOAT32"));
  EXPECT_TRUE(converted.status.ok());
}

TEST(BatchTest, TakesANarrowerTypeForTheGradient) {
  const Converted converted =
      Convert(RequestWith("gradient_data_type: DATA_TYPE_BFLOAT16"));
  EXPECT_TRUE(converted.status.ok());
  EXPECT_EQ(converted.view.gradient_type, compute::ElementType::kBFloat16);
}

TEST(BatchTest, TakesAnyGradientTypeForAnyLogits) {
  const std::pair<v1::DataType, int> logits_types[] = {
      {v1::DATA_TYPE_FLOAT16, 2},
      {v1::DATA_TYPE_BFLOAT16, 2},
      {v1::DATA_TYPE_FLOAT32, 4},
      {v1::DATA_TYPE_FLOAT64, 8}};
  for (const auto& [logits_type, bytes] : logits_types) {
    for (const auto& [gradient_type, unused] : logits_types) {
      v1::ComputeLossRequest request = RequestOf({2, 3}, {2});
      SetRaw(*request.mutable_logits(), logits_type, {2, 3}, 6 * bytes);
      request.set_gradient_data_type(gradient_type);
      const Converted converted = Convert(request);
      EXPECT_TRUE(converted.status.ok()) << converted.status;
      EXPECT_EQ(DataTypeOf(converted.view.gradient_type), gradient_type);
      EXPECT_EQ(DataTypeOf(converted.view.logits_type), logits_type);
    }
  }
}

TEST(BatchTest, RejectsAGradientTypeThatIsNoFloat) {
  EXPECT_THAT(
      Convert(RequestWith("gradient_data_type: DATA_TYPE_INT64")).status,
      IsInvalid("gradient_data_type = INT64, want a float type",
                "gradient_data_type"));
  v1::ComputeLossRequest request = RequestWith();
  request.set_gradient_data_type(static_cast<v1::DataType>(7));
  EXPECT_THAT(Convert(request).status,
              IsInvalid("gradient_data_type = 7, want a known DataType",
                        "gradient_data_type"));
}

}  // namespace
}  // namespace lossd::rpc
