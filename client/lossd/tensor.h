#ifndef LOSSD_CLIENT_LOSSD_TENSOR_H_
#define LOSSD_CLIENT_LOSSD_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "lossd/v1/loss_service.pb.h"

namespace lossd {

// The contract's name for T: float, double or int64_t.
template <typename T>
inline constexpr v1::DataType kDataType = v1::DATA_TYPE_UNSPECIFIED;
template <>
inline constexpr v1::DataType kDataType<float> = v1::DATA_TYPE_FLOAT32;
template <>
inline constexpr v1::DataType kDataType<double> = v1::DATA_TYPE_FLOAT64;
template <>
inline constexpr v1::DataType kDataType<int64_t> = v1::DATA_TYPE_INT64;

// Errors: InvalidArgument: `size` is not `want`.
absl::Status CheckSize(const char* name, size_t size, int64_t want);

// The same for several, the first one wrong named.
struct SizeCheck {
  const char* name;
  size_t size;
  int64_t want;
  bool may_be_empty = true;
};
absl::Status CheckSizes(std::initializer_list<SizeCheck> checks);

// Fills an empty `tensor` with type and shape.
template <typename T>
void TensorHeadToProto(absl::Span<const int64_t> shape, v1::Tensor* tensor) {
  tensor->set_data_type(kDataType<T>);
  tensor->mutable_shape()->Add(shape.begin(), shape.end());
}

// Fills an empty `tensor` with a copy of `values`. T is float, double or
// int64_t. REQUIRES: as many values as `shape` holds.
template <typename T>
void TensorToProto(absl::Span<const T> values, absl::Span<const int64_t> shape,
                   v1::Tensor* tensor);

}  // namespace lossd

#endif  // LOSSD_CLIENT_LOSSD_TENSOR_H_
