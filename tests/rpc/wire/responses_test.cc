// Responses by hand and by protobuf: the same bytes.
#include "server/rpc/wire/responses.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/rpc/messages.h"

namespace lossd::rpc::wire {
namespace {

Buffer BufferOf(const std::string& contents) {
  Buffer buffer(contents.size());
  std::copy_n(RunOf(contents).begin(), contents.size(), buffer.bytes().begin());
  return buffer;
}

OutgoingTensor TensorOf(int field, v1::DataType type,
                        const std::vector<int64_t>& shape,
                        const std::string& contents) {
  return {field, type, shape, BufferOf(contents)};
}

v1::Tensor MessageOf(v1::DataType type, const std::vector<int64_t>& shape,
                     const std::string& contents) {
  v1::Tensor tensor;
  tensor.set_data_type(type);
  tensor.mutable_shape()->Add(shape.begin(), shape.end());
  tensor.set_raw(contents);
  return tensor;
}

using Shape = std::vector<int64_t>;
const Shape kShapes[] = {
    {}, {0}, {1, 2, 3}, {127, 128, 16384}, {INT64_MAX, -1}, Shape(200, 1)};
const size_t kSizes[] = {0, 1, 22, 23, 24, 127, 128, 16383, 16384, 1 << 21};

TEST(WireResponsesTest, HaveTheBytesOfProtobufsTensors) {
  for (const Shape& shape : kShapes) {
    for (const size_t size : kSizes) {
      const std::string contents(size, 'x');
      for (const v1::DataType type :
           {v1::DATA_TYPE_UNSPECIFIED, v1::DATA_TYPE_FLOAT32,
            v1::DATA_TYPE_INT64}) {
        v1::ComputeHessianVectorProductResponse want;
        *want.mutable_product() = MessageOf(type, shape, contents);
        OutgoingMessage message =
            SerializeProduct(TensorOf(1, type, shape, contents));
        EXPECT_EQ(message.size(), want.ByteSizeLong());
        EXPECT_EQ(BytesOf(message.Release()), want.SerializeAsString());
      }
    }
  }
}

// The tensors in any order.
LossResponse Response() {
  LossResponse response;
  response.fields.set_loss(0.5);
  response.fields.set_row_count(300);
  response.fields.set_divisor(2);
  response.tensors.push_back(
      TensorOf(15, v1::DATA_TYPE_FLOAT16, {2, 3}, "gradients..."));
  response.tensors.push_back(
      TensorOf(5, v1::DATA_TYPE_FLOAT32, {2}, "12345678"));
  response.tensors.push_back(TensorOf(7, v1::DATA_TYPE_INT64, {0}, ""));
  response.tensors.push_back(
      TensorOf(13, v1::DATA_TYPE_FLOAT32, {}, std::string(100000, 'p')));
  return response;
}

v1::ComputeLossResponse WantedResponse() {
  v1::ComputeLossResponse want;
  want.set_loss(0.5);
  want.set_row_count(300);
  want.set_divisor(2);
  *want.mutable_gradient() =
      MessageOf(v1::DATA_TYPE_FLOAT16, {2, 3}, "gradients...");
  *want.mutable_row_losses() =
      MessageOf(v1::DATA_TYPE_FLOAT32, {2}, "12345678");
  *want.mutable_predictions() = MessageOf(v1::DATA_TYPE_INT64, {0}, "");
  *want.mutable_log_probabilities() =
      MessageOf(v1::DATA_TYPE_FLOAT32, {}, std::string(100000, 'p'));
  return want;
}

TEST(WireResponsesTest, HaveTheBytesOfProtobufsLossResponse) {
  OutgoingMessage message = Serialize(Response());
  EXPECT_EQ(message.size(), WantedResponse().ByteSizeLong());
  EXPECT_EQ(BytesOf(message.Release()), WantedResponse().SerializeAsString());
  EXPECT_EQ(BytesOf(Serialize({}).Release()), "");
}

TEST(WireResponsesTest, HaveTheBytesOfProtobufsSummary) {
  v1::StreamLossResponse want;
  *want.mutable_summary() = WantedResponse();
  EXPECT_EQ(BytesOf(SerializeSummary(Response()).Release()),
            want.SerializeAsString());
  want.mutable_summary()->Clear();
  EXPECT_EQ(BytesOf(SerializeSummary({}).Release()), want.SerializeAsString());
}

TEST(WireResponsesTest, HaveTheBytesOfProtobufsGradientChunk) {
  for (const int64_t first_row : {int64_t{0}, int64_t{1}, int64_t{1} << 40}) {
    for (const size_t size : kSizes) {
      v1::StreamLossResponse want;
      want.mutable_gradient_chunk()->set_first_row(first_row);
      want.mutable_gradient_chunk()->set_raw(std::string(size, 'g'));
      EXPECT_EQ(BytesOf(SerializeGradientChunk(first_row,
                                               BufferOf(std::string(size, 'g')))
                            .Release()),
                want.SerializeAsString());
    }
  }
}

// What the core wrote is what gRPC sends: the same memory.
TEST(WireResponsesTest, SendBuffersFromWhereTheyLie) {
  Buffer gradient(1 << 16);
  std::fill(gradient.bytes().begin(), gradient.bytes().end(), std::byte{7});
  const void* const place = gradient.bytes().data();
  const grpc::ByteBuffer message =
      SerializeGradientChunk(0, std::move(gradient)).Release();
  std::vector<grpc::Slice> slices;
  ASSERT_TRUE(message.Dump(&slices).ok());
  ASSERT_EQ(slices.size(), 2u);
  EXPECT_EQ(static_cast<const void*>(slices[1].begin()), place);
}

}  // namespace
}  // namespace lossd::rpc::wire
