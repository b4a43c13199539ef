// Requests written as text, and matchers of errors.
#ifndef LOSSD_TESTS_RPC_REQUESTS_H_
#define LOSSD_TESTS_RPC_REQUESTS_H_

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "lossd/v1/loss_service.pb.h"
#include "server/compute/element_type.h"
#include "server/compute/error.h"
#include "server/rpc/tensor.h"
#include "tests/rpc/messages.h"

namespace lossd::rpc {

// A message from its text form.
template <typename Message>
Message FromText(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message))
      << text;
  return message;
}

// Two rows of three logits and their labels, with `more` fields; `more` may set
// fields of the tensors again.
inline v1::ComputeLossRequest RequestWith(const std::string& more = "") {
  v1::ComputeLossRequest request = FromText<v1::ComputeLossRequest>(R"(
      logits { shape: [ 2, 3 ] float_values { values: [ 2, 1, 0.1, 0, 0, 0 ] } }
      labels { shape: 2 int64_values { values: [ 0, 2 ] } })");
  EXPECT_TRUE(google::protobuf::TextFormat::MergeFromString(more, &request))
      << more;
  return request;
}

// `rows` of as many zero logits as `classes`, all with label 0.
inline v1::ComputeLossRequest ZerosRequest(int64_t rows, int64_t classes) {
  v1::ComputeLossRequest request;
  v1::Tensor& logits = *request.mutable_logits();
  logits.set_data_type(v1::DATA_TYPE_FLOAT32);
  logits.add_shape(rows);
  logits.add_shape(classes);
  logits.set_raw(std::string(rows * classes * sizeof(float), '\0'));
  v1::Tensor& labels = *request.mutable_labels();
  labels.set_data_type(v1::DATA_TYPE_INT32);
  labels.add_shape(rows);
  labels.set_raw(std::string(rows * sizeof(int32_t), '\0'));
  return request;
}

template <typename Value>
std::string RawBytes(const std::vector<Value>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()),
                     values.size() * sizeof(Value));
}

template <typename Value>
std::vector<Value> ValuesOf(const v1::Tensor& tensor) {
  EXPECT_EQ(tensor.raw().size() % sizeof(Value), 0u);
  std::vector<Value> values(tensor.raw().size() / sizeof(Value));
  std::memcpy(values.data(), tensor.raw().data(), tensor.raw().size());
  return values;
}

// A tensor of a float type: `values`, rounded to it.
inline v1::Tensor FloatTensor(v1::DataType type,
                              const std::vector<int64_t>& shape,
                              const std::vector<double>& values) {
  v1::Tensor tensor;
  tensor.set_data_type(type);
  tensor.mutable_shape()->Add(shape.begin(), shape.end());
  std::string& raw = *tensor.mutable_raw();
  raw.resize(values.size() * ElementBytes(type));
  for (size_t i = 0; i < values.size(); ++i) {
    compute::StoreElement(*FloatTypeFromProto(type), values[i],
                          reinterpret_cast<std::byte*>(raw.data()),
                          static_cast<int64_t>(i));
  }
  return tensor;
}

inline constexpr v1::DataType kFloatTypes[] = {
    v1::DATA_TYPE_FLOAT16, v1::DATA_TYPE_BFLOAT16, v1::DATA_TYPE_FLOAT32,
    v1::DATA_TYPE_FLOAT64};

inline std::vector<int64_t> ShapeOf(const v1::Tensor& tensor) {
  return {tensor.shape().begin(), tensor.shape().end()};
}

// An absl::Status of `code` with this message, of `field`'s fault.
MATCHER_P3(IsError, code, message, field, "") {
  *result_listener << arg.ToString();
  return arg.code() == code && arg.message() == message &&
         compute::DetailsOf(arg).field == field &&
         !compute::DetailsOf(arg).reason.empty();
}

template <typename Message, typename Field>
auto IsInvalid(const Message& message, const Field& field) {
  return IsError(absl::StatusCode::kInvalidArgument, std::string(message),
                 std::string(field));
}

template <typename Message, typename Field>
auto IsNotBuilt(const Message& message, const Field& field) {
  return IsError(absl::StatusCode::kUnimplemented, std::string(message),
                 std::string(field));
}

}  // namespace lossd::rpc

#endif  // LOSSD_TESTS_RPC_REQUESTS_H_
