#ifndef LOSSD_CLIENT_LOSSD_TENSOR_H_
#define LOSSD_CLIENT_LOSSD_TENSOR_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "lossd/v1/loss_service.pb.h"

namespace lossd {

// Errors: InvalidArgument: `size` is not `want`.
absl::Status CheckSize(const char* name, size_t size, int64_t want);

// Fills an empty `tensor` with a copy of `values`. T is float, double or
// int64_t. REQUIRES: as many values as `shape` holds.
template <typename T>
void TensorToProto(absl::Span<const T> values, absl::Span<const int64_t> shape,
                   v1::Tensor* tensor);

// Copies the elements of `tensor`, the answer's field `name`, to `out`; nothing
// for an empty `out`.
// Errors: Internal: another type or length than `out` has.
template <typename T>
absl::Status TensorFromProto(const char* name, const v1::Tensor& tensor,
                             absl::Span<T> out);

}  // namespace lossd

#endif  // LOSSD_CLIENT_LOSSD_TENSOR_H_
