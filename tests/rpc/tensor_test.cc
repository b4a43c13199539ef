#include "server/rpc/tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/rpc/requests.h"

namespace lossd::rpc {
namespace {

using ::testing::ElementsAre;

v1::Tensor Tensor(const std::string& text) {
  return FromText<v1::Tensor>(text);
}

v1::Tensor RawTensor(const std::string& text, size_t bytes) {
  v1::Tensor tensor = Tensor(text);
  tensor.set_raw(std::string(bytes, '\0'));
  return tensor;
}

absl::Status StatusOf(const v1::Tensor& tensor) {
  return TensorFromProto(Received(tensor), "x").status();
}

TEST(TensorTest, ViewsRawBytesWithoutACopy) {
  const v1::Tensor tensor =
      RawTensor("data_type: DATA_TYPE_FLOAT32 shape: [ 2, 3 ]", 24);
  const auto view = TensorFromProto(Received(tensor), "x");
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->data_type, v1::DATA_TYPE_FLOAT32);
  EXPECT_THAT(view->shape, ElementsAre(2, 3));
  EXPECT_EQ(view->elements, 6);
  ASSERT_EQ(view->pieces.size(), 1u);
  EXPECT_EQ(static_cast<const void*>(view->pieces[0].data()),
            tensor.raw().data());
  EXPECT_EQ(view->pieces[0].size(), 24u);
}

TEST(TensorTest, ViewsFloatValuesAsFloat32) {
  const v1::Tensor tensor =
      Tensor("shape: 2 float_values { values: [ 1.5, -2 ] }");
  const auto view = TensorFromProto(Received(tensor), "x");
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->data_type, v1::DATA_TYPE_FLOAT32);
  EXPECT_EQ(StringOf(view->pieces), RawBytes<float>({1.5f, -2.0f}));
}

TEST(TensorTest, ViewsInt64ValuesAsInt64) {
  const v1::Tensor tensor =
      Tensor("shape: 2 int64_values { values: [ 7, -100 ] }");
  const auto view = TensorFromProto(Received(tensor), "x");
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->data_type, v1::DATA_TYPE_INT64);
  EXPECT_EQ(StringOf(view->pieces), RawBytes<int64_t>({7, -100}));
}

TEST(TensorTest, TakesAScalarAsOneElement) {
  EXPECT_TRUE(StatusOf(RawTensor("data_type: DATA_TYPE_INT32", 4)).ok());
}

TEST(TensorTest, TakesAnEmptyAxisBesideLongOnes) {
  const v1::Tensor tensor = RawTensor(
      "data_type: DATA_TYPE_FLOAT64 "
      "shape: [ 9223372036854775807, 9223372036854775807, 0 ]",
      0);
  const auto view = TensorFromProto(Received(tensor), "x");
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->elements, 0);
}

TEST(TensorTest, RejectsMissingContents) {
  EXPECT_THAT(
      StatusOf(Tensor("data_type: DATA_TYPE_FLOAT32 shape: 0")),
      IsInvalid("x: missing, want one of raw, float_values and int64_values",
                "x"));
}

TEST(TensorTest, RejectsRawWithoutADataType) {
  EXPECT_THAT(StatusOf(RawTensor("shape: 1", 4)),
              IsInvalid("x.data_type: missing, want the type of raw's elements",
                        "x.data_type"));
}

TEST(TensorTest, RejectsAnUnknownDataType) {
  v1::Tensor tensor = RawTensor("shape: 1", 4);
  tensor.set_data_type(static_cast<v1::DataType>(6));
  EXPECT_FALSE(StatusOf(tensor).ok());  // INT64: known, of another length
  tensor.set_data_type(static_cast<v1::DataType>(7));
  EXPECT_THAT(
      StatusOf(tensor),
      IsInvalid("x.data_type = 7, want a known DataType", "x.data_type"));
  tensor.set_data_type(
      static_cast<v1::DataType>(std::numeric_limits<int32_t>::min()));
  EXPECT_THAT(StatusOf(tensor),
              IsInvalid("x.data_type = -2147483648, want a known DataType",
                        "x.data_type"));
}

TEST(TensorTest, TakesADataTypeThatAgreesWithTheValues) {
  EXPECT_TRUE(StatusOf(Tensor("data_type: DATA_TYPE_FLOAT32 shape: 1 "
                              "float_values { values: 1 }"))
                  .ok());
  EXPECT_TRUE(StatusOf(Tensor("data_type: DATA_TYPE_INT64 shape: 1 "
                              "int64_values { values: 1 }"))
                  .ok());
}

TEST(TensorTest, RejectsADataTypeOtherThanTheValues) {
  EXPECT_THAT(StatusOf(Tensor("data_type: DATA_TYPE_FLOAT64 shape: 1 "
                              "float_values { values: 1 }")),
              IsInvalid("x.data_type = FLOAT64, want FLOAT32 for float_values",
                        "x.data_type"));
  EXPECT_THAT(StatusOf(Tensor("data_type: DATA_TYPE_INT32 shape: 1 "
                              "int64_values { values: 1 }")),
              IsInvalid("x.data_type = INT32, want INT64 for int64_values",
                        "x.data_type"));
}

TEST(TensorTest, RejectsANegativeAxis) {
  EXPECT_THAT(
      StatusOf(RawTensor("data_type: DATA_TYPE_INT32 shape: [ 0, -1 ]", 0)),
      IsInvalid("x.shape[1] = -1, want >= 0", "x.shape[1]"));
}

TEST(TensorTest, RejectsAProductPastInt64) {
  // 2^60 elements of 8 bytes: one past the largest count of bytes.
  EXPECT_THAT(
      StatusOf(RawTensor(
          "data_type: DATA_TYPE_FLOAT64 shape: [ 1073741824, 1073741824 ]", 8)),
      IsInvalid(
          "x.shape = [1073741824, 1073741824], want at most 2^63 - 1 bytes",
          "x.shape"));
  // Half of it fits; its contents do not.
  EXPECT_THAT(
      StatusOf(RawTensor(
          "data_type: DATA_TYPE_FLOAT32 shape: [ 1073741824, 1073741824 ]", 8)),
      IsInvalid("x.raw: 8 bytes, want 4611686018427387904 (shape [1073741824, "
                "1073741824] of FLOAT32)",
                "x.raw"));
}

TEST(TensorTest, RejectsRawOneByteOff) {
  const std::string text = "data_type: DATA_TYPE_FLOAT32 shape: [ 2, 2 ]";
  EXPECT_TRUE(StatusOf(RawTensor(text, 16)).ok());
  EXPECT_THAT(
      StatusOf(RawTensor(text, 15)),
      IsInvalid("x.raw: 15 bytes, want 16 (shape [2, 2] of FLOAT32)", "x.raw"));
  EXPECT_THAT(
      StatusOf(RawTensor(text, 17)),
      IsInvalid("x.raw: 17 bytes, want 16 (shape [2, 2] of FLOAT32)", "x.raw"));
}

TEST(TensorTest, RejectsOneValueTooManyOrTooFew) {
  EXPECT_THAT(StatusOf(Tensor("shape: 2 float_values { values: 1 }")),
              IsInvalid("x.float_values: 1 values, want 2 (shape [2])",
                        "x.float_values"));
  EXPECT_THAT(StatusOf(Tensor("shape: 2 int64_values { values: [ 1, 2, 3 ] }")),
              IsInvalid("x.int64_values: 3 values, want 2 (shape [2])",
                        "x.int64_values"));
}

TEST(TensorTest, CountsTheBytesOfEveryDataType) {
  for (const auto& [name, bytes] :
       std::vector<std::pair<std::string, size_t>>{{"FLOAT32", 4},
                                                   {"FLOAT64", 8},
                                                   {"FLOAT16", 2},
                                                   {"BFLOAT16", 2},
                                                   {"INT32", 4},
                                                   {"INT64", 8}}) {
    const std::string text = "data_type: DATA_TYPE_" + name + " shape: 3";
    EXPECT_TRUE(StatusOf(RawTensor(text, 3 * bytes)).ok()) << name;
    EXPECT_FALSE(StatusOf(RawTensor(text, 3 * bytes - 1)).ok()) << name;
  }
}

TEST(TensorTest, PrintsTheFirstAxesOfALongShape) {
  const std::vector<int64_t> eight(8, 1);
  EXPECT_EQ(ToString(eight), "[1, 1, 1, 1, 1, 1, 1, 1]");
  const std::vector<int64_t> nine(9, 1);
  EXPECT_EQ(ToString(nine), "[1, 1, 1, 1, 1, 1, 1, 1, ..., 9 axes]");
}

}  // namespace
}  // namespace lossd::rpc
