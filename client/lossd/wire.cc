#include "client/lossd/wire.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace lossd {
namespace {

using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;
using google::protobuf::io::StringOutputStream;
using Wire = google::protobuf::internal::WireFormatLite;

constexpr uint32_t Tag(int field, Wire::WireType type) {
  return static_cast<uint32_t>(field) << 3 | static_cast<uint32_t>(type);
}

// Appends the key of a field of `length` bytes, which follow.
void AppendKey(int field, size_t length, std::string* bytes) {
  StringOutputStream stream(bytes);
  CodedOutputStream output(&stream);
  output.WriteTag(Tag(field, Wire::WIRETYPE_LENGTH_DELIMITED));
  output.WriteVarint64(length);
}

// Appends field `field`, the tensor `head` with `raw_bytes` bytes as its
// contents, up to these.
void AppendTensor(int field, const v1::Tensor& head, size_t raw_bytes,
                  std::string* bytes) {
  std::string tensor = head.SerializeAsString();
  AppendKey(v1::Tensor::kRawFieldNumber, raw_bytes, &tensor);
  AppendKey(field, tensor.size() + raw_bytes, bytes);
  bytes->append(tensor);
}

// `request` up to its logits' raw bytes, which its last field ends with.
std::string UpToLogits(v1::ComputeLossRequest& request, size_t raw_bytes) {
  const std::unique_ptr<v1::Tensor> logits(request.release_logits());
  std::string bytes = request.SerializeAsString();
  AppendTensor(v1::ComputeLossRequest::kLogitsFieldNumber, *logits, raw_bytes,
               &bytes);
  return bytes;
}

grpc::ByteBuffer Joined(absl::Span<const std::string_view> pieces,
                        RequestMemory& memory) {
  const grpc::Slice slice = memory.Join(pieces);
  return grpc::ByteBuffer(&slice, 1);
}

// What was found of a tensor: all but its raw bytes, and how many these were.
struct Found {
  v1::Tensor head;
  size_t raw_bytes = 0;
};

// Reads a tensor, its length first; its elements only when they fit.
bool ReadTensor(const TensorField& field, CodedInputStream& input,
                Found* found) {
  int length = 0;
  if (!input.ReadVarintSizeAsInt(&length)) return false;
  const auto limit = input.PushLimit(length);
  std::string head;
  {
    StringOutputStream stream(&head);
    CodedOutputStream output(&stream);
    while (const uint32_t tag = input.ReadTag()) {
      if (tag !=
          Tag(v1::Tensor::kRawFieldNumber, Wire::WIRETYPE_LENGTH_DELIMITED)) {
        if (!Wire::SkipField(&input, tag, &output)) return false;
        continue;
      }
      int raw_bytes = 0;
      if (!input.ReadVarintSizeAsInt(&raw_bytes)) return false;
      found->raw_bytes = static_cast<size_t>(raw_bytes);
      const bool read = found->raw_bytes == field.bytes
                            ? input.ReadRaw(field.out, raw_bytes)
                            : input.Skip(raw_bytes);
      if (!read) return false;
    }
  }
  // The end of the bytes passes for the tensor's end, too.
  return input.BytesUntilLimit() == 0 &&
         input.CheckEntireMessageConsumedAndPopLimit(limit) &&
         found->head.MergeFromString(head);
}

// Reads to the end; false where the bytes are no message.
bool ReadFields(absl::Span<const TensorField> fields, CodedInputStream& input,
                std::vector<Found>* found, CodedOutputStream& rest) {
  while (const uint32_t tag = input.ReadTag()) {
    const auto field =
        std::find_if(fields.begin(), fields.end(), [tag](const auto& f) {
          return f.bytes > 0 &&
                 tag == Tag(f.number, Wire::WIRETYPE_LENGTH_DELIMITED);
        });
    const bool read =
        field == fields.end()
            ? Wire::SkipField(&input, tag, &rest)
            : ReadTensor(*field, input, &(*found)[field - fields.begin()]);
    if (!read) return false;
  }
  return input.ConsumedEntireMessage();
}

absl::Status NoMessage() {
  return absl::InternalError("the server's answer is no valid message");
}

absl::Status CheckFound(const TensorField& field, const Found& found) {
  const bool fits = found.head.data_type() == field.type &&
                    found.head.contents_case() == 0 &&
                    found.raw_bytes == field.bytes;
  if (field.bytes == 0 || fits) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      "the server answered ", field.name, " with ", found.raw_bytes,
      " bytes of ", v1::DataType_Name(found.head.data_type()), ", want ",
      field.bytes, " of ", v1::DataType_Name(field.type)));
}

}  // namespace

grpc::ByteBuffer LossRequestBytes(v1::ComputeLossRequest request,
                                  std::string_view logits,
                                  RequestMemory& memory) {
  return Joined({UpToLogits(request, logits.size()), logits}, memory);
}

grpc::ByteBuffer HessianRequestBytes(
    v1::ComputeHessianVectorProductRequest request, std::string_view logits,
    std::string_view vector, RequestMemory& memory) {
  using Request = v1::ComputeHessianVectorProductRequest;
  const std::string base = UpToLogits(*request.mutable_base(), logits.size());
  std::string base_key, vector_head;
  AppendKey(Request::kBaseFieldNumber, base.size() + logits.size(), &base_key);
  AppendTensor(Request::kVectorFieldNumber, request.vector(), vector.size(),
               &vector_head);
  return Joined({base_key, base, logits, vector_head, vector}, memory);
}

absl::Status ReadAnswer(const grpc::ByteBuffer& answer,
                        absl::Span<const TensorField> fields,
                        google::protobuf::MessageLite* rest) {
  if (!answer.Valid()) return NoMessage();
  grpc::ByteBuffer bytes = answer;
  std::vector<Found> found(fields.size());
  std::string others;
  {
    grpc::ProtoBufferReader reader(&bytes);
    CodedInputStream input(&reader);
    StringOutputStream stream(&others);
    CodedOutputStream output(&stream);
    if (!ReadFields(fields, input, &found, output)) return NoMessage();
  }
  if (!rest->ParseFromString(others)) return NoMessage();
  for (size_t i = 0; i < fields.size(); ++i) {
    absl::Status status = CheckFound(fields[i], found[i]);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace lossd
