// Messages as the bytes that gRPC sends and receives, so that large tensors go
// from the caller's spans and into them without a message between. What is
// written and read is what the generated code writes and reads.
#ifndef LOSSD_CLIENT_LOSSD_WIRE_H_
#define LOSSD_CLIENT_LOSSD_WIRE_H_

#include <google/protobuf/message_lite.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
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

// Serializes the StreamLossRequest whose header is `request`, without contents
// of its logits, and the one whose chunk is `raw`. REQUIRES: less than 2 GiB.
grpc::ByteBuffer StreamHeaderBytes(v1::ComputeLossRequest request);
grpc::ByteBuffer StreamChunkBytes(std::string_view raw, RequestMemory& memory);

// The most bytes that a chunk's message has beside its rows.
inline constexpr int64_t kChunkHeadBytes = 12;

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

// What a StreamLossResponse said.
struct StreamAnswer {
  v1::StreamLossResponse::MessageCase kind =
      v1::StreamLossResponse::MESSAGE_NOT_SET;
  int64_t first_row = 0;      // of a gradient chunk
  size_t gradient_bytes = 0;  // its length
};

// Reads the StreamLossResponse `message`: a gradient chunk's elements, if no
// more than there is room, to the beginning of `gradient`; a summary as
// ReadAnswer does.
// Errors: Internal: no valid message; a summary's tensor as in ReadAnswer.
absl::StatusOr<StreamAnswer> ReadStreamAnswer(
    const grpc::ByteBuffer& message, absl::Span<char> gradient,
    absl::Span<const TensorField> fields, v1::ComputeLossResponse* summary);

}  // namespace lossd

#endif  // LOSSD_CLIENT_LOSSD_WIRE_H_
