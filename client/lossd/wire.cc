#include "client/lossd/wire.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/proto_buffer_writer.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
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

// Reads a message's length, its input's new limit. False where the message
// around it has less left: PushLimit would take that.
bool PushLength(CodedInputStream& input, CodedInputStream::Limit* limit) {
  int length = 0;
  if (!input.ReadVarintSizeAsInt(&length)) return false;
  const int left = input.BytesUntilLimit();  // negative: nothing around
  if (left >= 0 && length > left) return false;
  *limit = input.PushLimit(length);
  return true;
}

// Reads a tensor, its length first; its elements only when they fit.
bool ReadTensor(const TensorField& field, CodedInputStream& input,
                Found* found) {
  CodedInputStream::Limit limit = 0;
  if (!PushLength(input, &limit)) return false;
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

// A message of tensors, as far as it was read.
struct Parts {
  std::vector<Found> tensors;  // one for each field that is looked for
  std::string others;          // the fields that are none of these
};

// Reads to the end of the input or limit; false where that is no message.
bool ReadFields(absl::Span<const TensorField> fields, CodedInputStream& input,
                Parts* parts) {
  parts->tensors.resize(fields.size());
  StringOutputStream stream(&parts->others);
  CodedOutputStream rest(&stream);
  while (const uint32_t tag = input.ReadTag()) {
    const auto field =
        std::find_if(fields.begin(), fields.end(), [tag](const auto& f) {
          return f.bytes > 0 &&
                 tag == Tag(f.number, Wire::WIRETYPE_LENGTH_DELIMITED);
        });
    const bool read = field == fields.end()
                          ? Wire::SkipField(&input, tag, &rest)
                          : ReadTensor(*field, input,
                                       &parts->tensors[field - fields.begin()]);
    if (!read) return false;
  }
  return input.ConsumedEntireMessage();
}

// Reads the fields of a GradientChunk, as ReadFields does.
bool ReadChunk(absl::Span<char> gradient, CodedInputStream& input,
               StreamAnswer* answer) {
  while (const uint32_t tag = input.ReadTag()) {
    if (tag ==
        Tag(v1::GradientChunk::kFirstRowFieldNumber, Wire::WIRETYPE_VARINT)) {
      uint64_t first_row = 0;
      if (!input.ReadVarint64(&first_row)) return false;
      answer->first_row = static_cast<int64_t>(first_row);
    } else if (tag == Tag(v1::GradientChunk::kRawFieldNumber,
                          Wire::WIRETYPE_LENGTH_DELIMITED)) {
      int bytes = 0;
      if (!input.ReadVarintSizeAsInt(&bytes)) return false;
      answer->gradient_bytes = static_cast<size_t>(bytes);
      const bool read = answer->gradient_bytes <= gradient.size()
                            ? input.ReadRaw(gradient.data(), bytes)
                            : input.Skip(bytes);
      if (!read) return false;
    } else if (!Wire::SkipField(&input, tag)) {
      return false;
    }
  }
  return input.ConsumedEntireMessage();
}

// Reads a message's length and then, by `read`, the message.
template <typename Read>
bool ReadNested(CodedInputStream& input, Read read) {
  CodedInputStream::Limit limit = 0;
  if (!PushLength(input, &limit)) return false;
  // The end of the bytes passes for the message's end, too.
  return read() && input.BytesUntilLimit() == 0 &&
         input.CheckEntireMessageConsumedAndPopLimit(limit);
}

// Reads a StreamLossResponse. As of every oneof: what comes last counts, and is
// merged with what came before only if that is the same.
bool ReadOneof(absl::Span<char> gradient, absl::Span<const TensorField> fields,
               CodedInputStream& input, StreamAnswer* answer, Parts* summary) {
  using Response = v1::StreamLossResponse;
  const auto turn_to = [&](Response::MessageCase kind) {
    if (answer->kind == kind) return true;
    *answer = {.kind = kind};
    // Does not count any more, but has to be valid.
    const Parts before = std::exchange(*summary, {});
    return v1::ComputeLossResponse().ParseFromString(before.others);
  };
  while (const uint32_t tag = input.ReadTag()) {
    bool read = false;
    if (tag == Tag(Response::kGradientChunk, Wire::WIRETYPE_LENGTH_DELIMITED)) {
      read = turn_to(Response::kGradientChunk) && ReadNested(input, [&] {
               return ReadChunk(gradient, input, answer);
             });
    } else if (tag ==
               Tag(Response::kSummary, Wire::WIRETYPE_LENGTH_DELIMITED)) {
      read = turn_to(Response::kSummary) && ReadNested(input, [&] {
               return ReadFields(fields, input, summary);
             });
    } else {
      read = Wire::SkipField(&input, tag);
    }
    if (!read) return false;
  }
  return input.ConsumedEntireMessage();
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

absl::Status InvalidMessage() {
  return absl::InternalError("the server's answer is no valid message");
}

// Makes `rest` of what is none of `fields` and checks these.
absl::Status TakeParts(absl::Span<const TensorField> fields, const Parts& parts,
                       google::protobuf::MessageLite* rest) {
  if (!rest->ParseFromString(parts.others)) return InvalidMessage();
  for (size_t i = 0; i < fields.size(); ++i) {
    absl::Status status = CheckFound(fields[i], parts.tensors[i]);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
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

grpc::ByteBuffer StreamHeaderBytes(v1::ComputeLossRequest request) {
  // Bounds what is allocated at once, as gRPC's own serializer does.
  constexpr int kSliceBytes = 1 << 20;
  v1::StreamLossRequest message;
  message.mutable_header()->Swap(&request);
  grpc::ByteBuffer bytes;
  grpc::ProtoBufferWriter writer(&bytes, kSliceBytes,
                                 static_cast<int>(message.ByteSizeLong()));
  message.SerializeToZeroCopyStream(&writer);
  return bytes;
}

grpc::ByteBuffer StreamChunkBytes(std::string_view raw, RequestMemory& memory) {
  std::string chunk_head, head;
  AppendKey(v1::LogitsChunk::kRawFieldNumber, raw.size(), &chunk_head);
  AppendKey(v1::StreamLossRequest::kChunkFieldNumber,
            chunk_head.size() + raw.size(), &head);
  return Joined({head, chunk_head, raw}, memory);
}

absl::Status ReadAnswer(const grpc::ByteBuffer& answer,
                        absl::Span<const TensorField> fields,
                        google::protobuf::MessageLite* rest) {
  if (!answer.Valid()) return InvalidMessage();
  grpc::ByteBuffer bytes = answer;
  Parts parts;
  grpc::ProtoBufferReader reader(&bytes);
  CodedInputStream input(&reader);
  if (!ReadFields(fields, input, &parts)) return InvalidMessage();
  return TakeParts(fields, parts, rest);
}

absl::StatusOr<StreamAnswer> ReadStreamAnswer(
    const grpc::ByteBuffer& message, absl::Span<char> gradient,
    absl::Span<const TensorField> fields, v1::ComputeLossResponse* summary) {
  if (!message.Valid()) return InvalidMessage();
  grpc::ByteBuffer bytes = message;
  StreamAnswer answer;
  Parts parts;
  grpc::ProtoBufferReader reader(&bytes);
  CodedInputStream input(&reader);
  if (!ReadOneof(gradient, fields, input, &answer, &parts)) {
    return InvalidMessage();
  }
  if (answer.kind == v1::StreamLossResponse::kSummary) {
    const absl::Status status = TakeParts(fields, parts, summary);
    if (!status.ok()) return status;
  }
  return answer;
}

}  // namespace lossd
