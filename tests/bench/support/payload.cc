#include "tests/bench/support/payload.h"

#include <random>
#include <string>
#include <vector>

namespace lossd::bench {
namespace {

template <typename T>
std::string BytesOf(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()),
                     values.size() * sizeof(T));
}

}  // namespace

v1::ComputeLossRequest DrawRequest(const Payload& payload) {
  std::mt19937 random(1);
  std::normal_distribution<float> logit(0.0f, 3.0f);
  std::vector<float> logits(payload.rows * payload.classes);
  for (float& value : logits) value = logit(random);
  std::vector<int32_t> labels(payload.rows);
  for (int64_t row = 0; row < payload.rows; ++row) {
    labels[row] = static_cast<int32_t>(row * 7919 % payload.classes);
  }
  v1::ComputeLossRequest request;
  request.mutable_labels()->set_data_type(v1::DATA_TYPE_INT32);
  request.mutable_labels()->add_shape(payload.rows);
  request.mutable_labels()->set_raw(BytesOf(labels));
  request.mutable_logits()->set_data_type(v1::DATA_TYPE_FLOAT32);
  request.mutable_logits()->add_shape(payload.rows);
  request.mutable_logits()->add_shape(payload.classes);
  request.mutable_logits()->set_raw(BytesOf(logits));
  return request;
}

}  // namespace lossd::bench
