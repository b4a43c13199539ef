#include "server/rpc/wire/responses.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/rpc/wire/reader.h"

namespace lossd::rpc::wire {
namespace {

void AppendVarint(uint64_t value, std::string& to) {
  for (; value >= 0x80; value >>= 7)
    to.push_back(static_cast<char>(value | 0x80));
  to.push_back(static_cast<char>(value));
}

void AppendTag(int field, WireType type, std::string& to) {
  AppendVarint(static_cast<uint64_t>(field) << 3 | static_cast<uint64_t>(type),
               to);
}

// The begin of a field of `length` bytes.
void AppendLength(int field, size_t length, std::string& to) {
  AppendTag(field, WireType::kLength, to);
  AppendVarint(length, to);
}

// A tensor's field up to the contents of `raw`, which end it. Fields that have
// their default are left out, as protobuf has it; `raw`, one of a oneof, is
// there even if empty.
std::string TensorHeader(const OutgoingTensor& tensor) {
  std::string header;
  if (tensor.data_type != v1::DATA_TYPE_UNSPECIFIED) {
    AppendTag(v1::Tensor::kDataTypeFieldNumber, WireType::kVarint, header);
    AppendVarint(static_cast<uint64_t>(tensor.data_type), header);
  }
  if (!tensor.shape.empty()) {
    std::string shape;
    for (const int64_t length : tensor.shape) {
      AppendVarint(static_cast<uint64_t>(length), shape);
    }
    AppendLength(v1::Tensor::kShapeFieldNumber, shape.size(), header);
    header += shape;
  }
  AppendLength(v1::Tensor::kRawFieldNumber, tensor.raw.size(), header);
  std::string field;
  AppendLength(tensor.field, header.size() + tensor.raw.size(), field);
  return field + header;
}

// A message begins with the fields that are no tensors: they have the lower
// numbers.
struct Parts {
  std::string fields;
  std::vector<std::string> headers;  // of the tensors
  size_t size = 0;
};

Parts PartsOf(LossResponse& response) {
  std::sort(response.tensors.begin(), response.tensors.end(),
            [](const OutgoingTensor& a, const OutgoingTensor& b) {
              return a.field < b.field;
            });
  Parts parts;
  parts.fields = response.fields.SerializeAsString();
  parts.size = parts.fields.size();
  for (const OutgoingTensor& tensor : response.tensors) {
    parts.headers.push_back(TensorHeader(tensor));
    parts.size += parts.headers.back().size() + tensor.raw.size();
  }
  return parts;
}

void Append(const Parts& parts, LossResponse response,
            OutgoingMessage& message) {
  message.Append(parts.fields);
  for (size_t i = 0; i < parts.headers.size(); ++i) {
    message.Append(parts.headers[i]);
    message.Append(std::move(response.tensors[i].raw));
  }
}

}  // namespace

OutgoingMessage Serialize(LossResponse response) {
  OutgoingMessage message;
  const Parts parts = PartsOf(response);
  Append(parts, std::move(response), message);
  return message;
}

OutgoingMessage SerializeProduct(OutgoingTensor product) {
  OutgoingMessage message;
  message.Append(TensorHeader(product));
  message.Append(std::move(product.raw));
  return message;
}

OutgoingMessage SerializeSummary(LossResponse summary) {
  OutgoingMessage message;
  const Parts parts = PartsOf(summary);
  std::string field;
  AppendLength(v1::StreamLossResponse::kSummaryFieldNumber, parts.size, field);
  message.Append(field);
  Append(parts, std::move(summary), message);
  return message;
}

OutgoingMessage SerializeGradientChunk(int64_t first_row, Buffer gradient) {
  using Chunk = v1::GradientChunk;
  std::string header;
  if (first_row != 0) {
    AppendTag(Chunk::kFirstRowFieldNumber, WireType::kVarint, header);
    AppendVarint(static_cast<uint64_t>(first_row), header);
  }
  if (!gradient.empty()) {
    AppendLength(Chunk::kRawFieldNumber, gradient.size(), header);
  }
  std::string field;
  AppendLength(v1::StreamLossResponse::kGradientChunkFieldNumber,
               header.size() + gradient.size(), field);
  OutgoingMessage message;
  message.Append(field + header);
  message.Append(std::move(gradient));
  return message;
}

}  // namespace lossd::rpc::wire
