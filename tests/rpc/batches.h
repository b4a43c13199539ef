// Requests converted to batches.
#ifndef LOSSD_TESTS_RPC_BATCHES_H_
#define LOSSD_TESTS_RPC_BATCHES_H_

#include <string>
#include <utility>
#include <vector>

#include "server/rpc/batch.h"
#include "tests/rpc/requests.h"

namespace lossd::rpc {

// What BatchFromProto makes of a request.
struct Converted {
  absl::Status status;
  BatchView view;
};

inline Converted Convert(const v1::ComputeLossRequest& request) {
  auto view = BatchFromProto(Received(request));
  return {view.status(), view.ok() ? *std::move(view) : BatchView()};
}

// Makes `tensor` one of zero bytes.
inline void SetRaw(v1::Tensor& tensor, v1::DataType data_type,
                   const std::vector<int64_t>& shape, size_t bytes) {
  tensor.Clear();
  tensor.set_data_type(data_type);
  tensor.mutable_shape()->Add(shape.begin(), shape.end());
  tensor.set_raw(std::string(bytes, '\0'));
}

// Zero logits and labels of these shapes.
inline v1::ComputeLossRequest RequestOf(
    const std::vector<int64_t>& logits_shape,
    const std::vector<int64_t>& labels_shape) {
  const auto elements = [](const std::vector<int64_t>& shape) {
    size_t product = 1;
    for (const int64_t length : shape) product *= length;
    return product;
  };
  v1::ComputeLossRequest request;
  SetRaw(*request.mutable_logits(), v1::DATA_TYPE_FLOAT32, logits_shape,
         4 * elements(logits_shape));
  SetRaw(*request.mutable_labels(), v1::DATA_TYPE_INT32, labels_shape,
         4 * elements(labels_shape));
  return request;
}

}  // namespace lossd::rpc

#endif  // LOSSD_TESTS_RPC_BATCHES_H_
