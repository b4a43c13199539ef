// Messages as the bytes that gRPC sends and receives, so that large tensors go
// from the caller's spans and into them without a message between. What is
// written and read is what the generated code writes and reads.
#ifndef LOSSD_CLIENT_LOSSD_WIRE_H_
#define LOSSD_CLIENT_LOSSD_WIRE_H_

#include <google/protobuf/message_lite.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "client/lossd/request_memory.h"
#include "client/lossd/tensor.h"
#include "lossd/v1/loss_service.pb.h"

namespace lossd {

// The elements of `values`, as Tensor.raw has them.
template <typename T>
std::string_view RawBytes(absl::Span<const T> values) {
  return {reinterpret_cast<const char*>(values.data()),
          values.size() * sizeof(T)};
}

// Serializes `request`, whose logits have no contents yet, with `logits` as
// their raw bytes; the second one with `vector` as the vector's, too.
// REQUIRES: less than 2 GiB together.
grpc::ByteBuffer LossRequestBytes(v1::ComputeLossRequest request,
                                  std::string_view logits,
                                  RequestMemory& memory);
grpc::ByteBuffer HessianRequestBytes(
    v1::ComputeHessianVectorProductRequest request, std::string_view logits,
    std::string_view vector, RequestMemory& memory);

// A tensor of an answer, and where its elements go.
struct TensorField {
  const char* name;
  int number;  // in the answer's message
  v1::DataType type;
  char* out;
  size_t bytes;  // 0: the field is not looked at
};

template <typename T>
TensorField FieldFor(const char* name, int number, absl::Span<T> out) {
  return {name, number, kDataType<T>, reinterpret_cast<char*>(out.data()),
          out.size() * sizeof(T)};
}

// Reads the message `answer`: the elements of `fields` into their places, all
// that is no tensor of these into `rest`, which is cleared first.
// Errors: Internal: no message; no valid one; a tensor that is absent or of
//   another type or length than its place.
absl::Status ReadAnswer(const grpc::ByteBuffer& answer,
                        absl::Span<const TensorField> fields,
                        google::protobuf::MessageLite* rest);

}  // namespace lossd

#endif  // LOSSD_CLIENT_LOSSD_WIRE_H_
