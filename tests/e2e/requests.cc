#include "tests/e2e/requests.h"

#include <string>
#include <vector>

namespace lossd {
namespace {

float LogitAt(int64_t i) { return static_cast<float>(i * 7 % 23) / 4 - 2; }

template <typename T>
std::string BytesOf(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()),
                     values.size() * sizeof(T));
}

}  // namespace

v1::ComputeLossRequest MakeRequest(int64_t rows, int64_t classes) {
  std::vector<float> logits(rows * classes);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = LogitAt(i);
  std::vector<int64_t> labels(rows);
  for (int64_t r = 0; r < rows; ++r) labels[r] = r % classes;
  v1::ComputeLossRequest request;
  request.mutable_labels()->set_data_type(v1::DATA_TYPE_INT64);
  request.mutable_labels()->add_shape(rows);
  request.mutable_labels()->set_raw(BytesOf(labels));
  request.mutable_logits()->set_data_type(v1::DATA_TYPE_FLOAT32);
  request.mutable_logits()->add_shape(rows);
  request.mutable_logits()->add_shape(classes);
  request.mutable_logits()->set_raw(BytesOf(logits));
  return request;
}

v1::ComputeLossRequest MakeValuesRequest(int64_t rows, int64_t classes) {
  v1::ComputeLossRequest request;
  request.mutable_labels()->add_shape(rows);
  request.mutable_logits()->add_shape(rows);
  request.mutable_logits()->add_shape(classes);
  for (int64_t r = 0; r < rows; ++r) {
    request.mutable_labels()->mutable_int64_values()->add_values(r % classes);
  }
  for (int64_t i = 0; i < rows * classes; ++i) {
    request.mutable_logits()->mutable_float_values()->add_values(LogitAt(i));
  }
  return request;
}

}  // namespace lossd
