// Row weights, upstream gradients, probabilities as labels and the class axis.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <variant>

#include "tests/rpc/batches.h"
#include "tests/rpc/requests.h"

namespace lossd::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

v1::Tensor& FieldOf(v1::ComputeLossRequest& request, const std::string& field) {
  return field == "row_weights" ? *request.mutable_row_weights()
                                : *request.mutable_upstream_gradient();
}

class RowFactorsTest : public testing::TestWithParam<std::string> {
 protected:
  // A request of 2 x 5 rows whose field is `tensor`.
  v1::ComputeLossRequest With(const v1::Tensor& tensor) {
    v1::ComputeLossRequest request = RequestOf({2, 5, 3}, {2, 5});
    FieldOf(request, GetParam()) = tensor;
    return request;
  }

  absl::Span<const double> In(const compute::Batch& batch) {
    return GetParam() == "row_weights" ? batch.row_weights
                                       : batch.upstream_gradient;
  }
};

TEST_P(RowFactorsTest, AreNoneWhenAbsent) {
  const Converted converted = Convert(RequestWith());
  EXPECT_THAT(In(converted.view.batch()), IsEmpty());
}

TEST_P(RowFactorsTest, AreTakenInEveryFloatType) {
  for (const v1::DataType type : kFloatTypes) {
    v1::ComputeLossRequest request = RequestWith();
    FieldOf(request, GetParam()) = FloatTensor(type, {2}, {0, 2.5});
    const Converted converted = Convert(request);
    ASSERT_TRUE(converted.status.ok()) << converted.status;
    EXPECT_THAT(In(converted.view.batch()), ElementsAre(0, 2.5));
  }
}

TEST_P(RowFactorsTest, AreTakenInARowOrInTheRowsShape) {
  const std::vector<double> values = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{10}, std::vector<int64_t>{2, 5}}) {
    const v1::ComputeLossRequest request =
        With(FloatTensor(v1::DATA_TYPE_FLOAT32, shape, values));
    const Converted converted = Convert(request);
    ASSERT_TRUE(converted.status.ok()) << converted.status;
    EXPECT_THAT(In(converted.view.batch()), testing::ElementsAreArray(values));
  }
}

TEST_P(RowFactorsTest, AreRefusedInAnyOtherShape) {
  const std::string more = GetParam() == "row_weights" ? "" : " or one element";
  for (const auto& [shape, text] :
       {std::pair{std::vector<int64_t>{11}, "[11]"},
        std::pair{std::vector<int64_t>{9}, "[9]"},
        std::pair{std::vector<int64_t>{5, 2}, "[5, 2]"},
        std::pair{std::vector<int64_t>{2, 5, 3}, "[2, 5, 3]"},
        std::pair{std::vector<int64_t>{0}, "[0]"}}) {
    size_t elements = 1;
    for (const int64_t length : shape) elements *= length;
    EXPECT_THAT(Convert(With(FloatTensor(v1::DATA_TYPE_FLOAT32, shape,
                                         std::vector<double>(elements, 1))))
                    .status,
                IsInvalid(GetParam() + ".shape = " + text +
                              ", want [10] or [2, 5]" + more,
                          GetParam() + ".shape"));
  }
}

TEST_P(RowFactorsTest, AreRefusedWithoutContentsOrWithIntegers) {
  EXPECT_THAT(Convert(With({})).status,
              IsInvalid(GetParam() + ": missing, want one of raw, float_values "
                                     "and int64_values",
                        GetParam()));
  EXPECT_THAT(Convert(RequestWith(GetParam() + "{ shape: 2 int64_values {"
                                               " values: [ 1, 1 ] } }"))
                  .status,
              IsInvalid(GetParam() + ".data_type = INT64, want a float type",
                        GetParam() + ".data_type"));
}

TEST_P(RowFactorsTest, AreRefusedOutOfRange) {
  const bool weights = GetParam() == "row_weights";
  const std::string want =
      weights ? "0 or [2^-100, 2^100]" : "0 or +-[2^-100, 2^100]";
  const auto status = [&](double value) {
    v1::ComputeLossRequest request = RequestWith();
    FieldOf(request, GetParam()) =
        FloatTensor(v1::DATA_TYPE_FLOAT64, {2}, {1, value});
    return Convert(request).status;
  };
  EXPECT_TRUE(status(0x1p100).ok() && status(0x1p-100).ok());
  EXPECT_EQ(status(-1).ok(), !weights);
  for (const auto& [value, text] :
       {std::pair{HUGE_VAL, "inf"},
        std::pair{std::numeric_limits<double>::quiet_NaN(), "nan"},
        std::pair{std::nextafter(0x1p100, HUGE_VAL), "1.2676506002282297e+30"},
        std::pair{-0x1p101, "-2.535301200456459e+30"}}) {
    EXPECT_THAT(status(value),
                IsInvalid(GetParam() + "[1] = " + text + ", want " + want,
                          GetParam() + "[1]"));
  }
}

INSTANTIATE_TEST_SUITE_P(Fields, RowFactorsTest,
                         testing::Values("row_weights", "upstream_gradient"),
                         [](const auto& info) { return info.param; });

TEST(UpstreamGradientTest, MayBeOneElementWhereTheResultIsAScalar) {
  for (const std::string shape : {"", "shape: 1", "shape: [ 1, 1 ]"}) {
    const std::string one =
        "upstream_gradient { " + shape + " float_values { values: -2 } }";
    for (const std::string reduction : {"REDUCTION_MEAN", "REDUCTION_SUM"}) {
      const v1::ComputeLossRequest request =
          RequestWith(one + "reduction: " + reduction);
      const Converted converted = Convert(request);
      ASSERT_TRUE(converted.status.ok()) << converted.status;
      EXPECT_THAT(converted.view.batch().upstream_gradient, ElementsAre(-2));
    }
  }
  EXPECT_THAT(Convert(RequestWith("upstream_gradient { shape: 1 float_values {"
                                  " values: 1 } } reduction: REDUCTION_NONE"))
                  .status,
              IsInvalid("upstream_gradient.shape = [1], want [2]",
                        "upstream_gradient.shape"));
}

TEST(RowWeightsTest, AreNotOneElementForManyRows) {
  EXPECT_THAT(
      Convert(RequestWith("row_weights { float_values { values: 1 } }")).status,
      IsInvalid("row_weights.shape = [], want [2]", "row_weights.shape"));
}

TEST(RowWeightsTest, AreAScalarOrOneElementForRankOne) {
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{}, std::vector<int64_t>{1}}) {
    v1::ComputeLossRequest request = RequestOf({3}, {});
    *request.mutable_row_weights() =
        FloatTensor(v1::DATA_TYPE_FLOAT32, shape, {0.5});
    const Converted converted = Convert(request);
    ASSERT_TRUE(converted.status.ok()) << converted.status;
    EXPECT_THAT(converted.view.row_weights, ElementsAre(0.5));
  }
}

TEST(ProbabilitiesAsLabelsTest, AreViewedInEveryFloatType) {
  for (const v1::DataType type : kFloatTypes) {
    v1::ComputeLossRequest request = RequestOf({2, 3}, {2});
    *request.mutable_labels() =
        FloatTensor(type, {2, 3}, {1, 0, 0, 0.25, 0.5, 0.25});
    const wire::LossRequest& received = Received(request);
    const auto view = BatchFromProto(received);
    ASSERT_TRUE(view.ok()) << view.status();
    const compute::Batch batch = view->batch();
    const auto& targets = std::get<compute::FloatTargets>(batch.labels);
    EXPECT_EQ(DataTypeOf(targets.type), type);
    EXPECT_EQ(targets.data.data(), received.labels->elements.pieces().data());
    EXPECT_EQ(StringOf(targets.data), request.labels().raw());
  }
}

TEST(ProbabilitiesAsLabelsTest, AreOfTheLogitsShape) {
  v1::ComputeLossRequest request = RequestOf({2, 3}, {2});
  for (const auto& [shape, text] :
       {std::pair{std::vector<int64_t>{2}, "[2]"},
        std::pair{std::vector<int64_t>{6}, "[6]"},
        std::pair{std::vector<int64_t>{3, 2}, "[3, 2]"}}) {
    const size_t elements = shape.size() == 2 ? 6 : shape[0];
    *request.mutable_labels() = FloatTensor(v1::DATA_TYPE_FLOAT32, shape,
                                            std::vector<double>(elements));
    EXPECT_THAT(
        Convert(request).status,
        IsInvalid("labels.shape = " + std::string(text) + ", want [2, 3]",
                  "labels.shape"));
  }
}

TEST(ClassAxisOfABatchTest, LeavesTheClassesLastAndTheRowsShapeWithoutThem) {
  for (const int axis : {1, -2}) {
    v1::ComputeLossRequest request = RequestOf({1, 2, 3}, {1, 3});
    *request.mutable_logits() =
        FloatTensor(v1::DATA_TYPE_FLOAT32, {1, 2, 3}, {1, 2, 3, 4, 5, 6});
    request.set_class_axis(axis);
    const Converted converted = Convert(request);
    ASSERT_TRUE(converted.status.ok()) << converted.status;
    EXPECT_EQ(converted.view.rows, 3);
    EXPECT_EQ(converted.view.classes, 2);
    EXPECT_THAT(converted.view.rows_shape, ElementsAre(1, 3));
    const std::string bytes = StringOf(converted.view.logits);
    EXPECT_EQ(bytes, RawBytes<float>({1, 4, 2, 5, 3, 6}));
  }
}

TEST(ClassAxisOfABatchTest, MovesProbabilitiesInTheirOwnType) {
  v1::ComputeLossRequest request = RequestOf({2, 3}, {3});
  *request.mutable_labels() =
      FloatTensor(v1::DATA_TYPE_FLOAT64, {2, 3}, {1, 2, 3, 4, 5, 6});
  request.set_class_axis(0);
  const Converted converted = Convert(request);
  ASSERT_TRUE(converted.status.ok()) << converted.status;
  const std::string bytes = StringOf(converted.view.targets);
  EXPECT_EQ(bytes, RawBytes<double>({1, 4, 2, 5, 3, 6}));
}

TEST(ClassAxisOfABatchTest, CopiesNothingWhereTheClassesLieLast) {
  for (const auto& [shape, axis] :
       {std::pair{std::vector<int64_t>{4, 3}, 1},
        std::pair{std::vector<int64_t>{4, 3, 1, 1}, 1}}) {
    std::vector<int64_t> labels_shape = shape;
    labels_shape.erase(labels_shape.begin() + axis);
    v1::ComputeLossRequest request = RequestOf(shape, labels_shape);
    request.set_class_axis(axis);
    const wire::LossRequest& received = Received(request);
    const auto view = BatchFromProto(received);
    ASSERT_TRUE(view.ok()) << view.status();
    EXPECT_EQ(view->logits.data(), received.logits->elements.pieces().data());
    EXPECT_TRUE(view->moved_logits.bytes.empty());
  }
}

TEST(ClassAxisOfABatchTest, IsHeldToLabelsWithoutIt) {
  for (const int axis : {0, -2}) {
    v1::ComputeLossRequest request = RequestOf({2, 3}, {2});
    request.set_class_axis(axis);
    EXPECT_THAT(Convert(request).status,
                IsInvalid("labels.shape = [2], want [3]", "labels.shape"));
    request = RequestOf({0, 3}, {3});
    request.set_class_axis(axis);
    EXPECT_THAT(Convert(request).status,
                IsInvalid("logits.shape[0] = 0, want >= 1 (the class axis)",
                          "logits.shape[0]"));
  }
}

}  // namespace
}  // namespace lossd::rpc
