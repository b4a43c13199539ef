// Tensor messages as views: every rule of lossd.v1.Tensor is checked here.
#ifndef LOSSD_SERVER_RPC_TENSOR_H_
#define LOSSD_SERVER_RPC_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lossd/v1/loss_service.pb.h"
#include "server/compute/element_type.h"
#include "server/compute/row_source.h"
#include "server/rpc/wire/tensor.h"

namespace lossd::rpc {

using Shape = absl::Span<const int64_t>;

// A tensor whose length was found to fit its shape. Views into the message.
struct TensorView {
  v1::DataType data_type = v1::DATA_TYPE_UNSPECIFIED;
  Shape shape;
  int64_t elements = 0;
  compute::Pieces pieces;  // little-endian, row-major, any alignment

  // The elements in one run: where they lie, or copied into `scratch`, which
  // then must live on.
  const std::byte* Contiguous(std::vector<std::byte>& scratch) const;
};

// Views `tensor`, found at `field` of the request, and its contents.
//
// Errors: InvalidArgument: no contents; a data type unknown, left out for `raw`
//   or other than the contents'; a negative axis; more than 2^63 - 1 bytes; a
//   length other than the shape's.
// The result must not outlive `tensor`.
absl::StatusOr<TensorView> TensorFromProto(const wire::Tensor& tensor,
                                           std::string_view field);

// The same for a tensor that is to be of a float type.
//
// Errors: as above; InvalidArgument: another type.
absl::StatusOr<TensorView> FloatTensorFromProto(const wire::Tensor& tensor,
                                                std::string_view field);

// The same for a tensor of which only type and shape are sent; the view has no
// pieces.
//
// Errors: as above, the contents' length aside; InvalidArgument: contents; no
//   data type.
absl::StatusOr<TensorView> FloatTensorWithoutContents(
    const wire::Tensor& tensor, std::string_view field);

// Fails unless `tensor`, found at `field`, has this shape.
absl::Status CheckShape(const TensorView& tensor, std::string_view field,
                        Shape want);

// The core's name of a float type, and back; nothing for any other type.
std::optional<compute::ElementType> FloatTypeFromProto(v1::DataType data_type);
v1::DataType DataTypeOf(compute::ElementType type);

bool IsFloat(v1::DataType data_type);

// The size of one element, in bytes. REQUIRES: a specified, known type.
int64_t ElementBytes(v1::DataType data_type);

// "FLOAT32"; a number where the type is unknown.
std::string NameOf(v1::DataType data_type);

// "[2, 3]"; of a long shape the first axes: "[1, 1, ..., 20 axes]".
std::string ToString(Shape shape);

// The bytes of a value in memory.
template <typename Value>
absl::Span<const std::byte> BytesOf(const Value* values, size_t count) {
  return {reinterpret_cast<const std::byte*>(values), count * sizeof(Value)};
}

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_TENSOR_H_
