#include "server/rpc/wire/requests.h"

#include <google/protobuf/io/coded_stream.h>

#include <cstdint>
#include <string>
#include <utility>

#include "server/rpc/wire/reader.h"

namespace lossd::rpc::wire {
namespace {

// A ComputeLossRequest on its way in: it may come in several parts, which
// protobuf merges.
struct Incoming {
  LossRequest request;
  std::string fields;  // the bytes of all but the tensors, in their order
  int depth_left = kMaxDepth;
};

std::optional<Tensor>* TensorOf(uint32_t field, LossRequest& request) {
  switch (field) {
    case v1::ComputeLossRequest::kRowWeightsFieldNumber:
      return &request.row_weights;
    case v1::ComputeLossRequest::kUpstreamGradientFieldNumber:
      return &request.upstream_gradient;
    case v1::ComputeLossRequest::kLabelsFieldNumber:
      return &request.labels;
    case v1::ComputeLossRequest::kLogitsFieldNumber:
      return &request.logits;
    default:
      return nullptr;
  }
}

// Reads a message that lies in `reader`'s next field.
bool ReadTensorField(Reader& reader, std::optional<Tensor>& tensor) {
  Reader message({});
  if (!reader.ReadMessage(message)) return false;
  if (!tensor) tensor.emplace();
  return ReadTensor(message, *tensor);
}

bool ReadPart(Reader reader, Incoming& incoming) {
  incoming.depth_left = reader.depth_left();
  while (!reader.done()) {
    const Reader field = reader;
    Tag tag;
    if (!reader.ReadTag(tag)) return false;
    std::optional<Tensor>* const tensor =
        tag.type == WireType::kLength ? TensorOf(tag.field, incoming.request)
                                      : nullptr;
    if (tensor != nullptr) {
      if (!ReadTensorField(reader, *tensor)) return false;
      continue;
    }
    if (!reader.Skip(tag)) return false;
    field.CopyTo(field.left() - reader.left(), incoming.fields);
  }
  return true;
}

// All parts have been read.
std::optional<LossRequest> Finish(Incoming incoming) {
  google::protobuf::io::CodedInputStream fields(
      reinterpret_cast<const uint8_t*>(incoming.fields.data()),
      static_cast<int>(incoming.fields.size()));
  fields.SetRecursionLimit(incoming.depth_left);
  if (!incoming.request.fields.ParseFromCodedStream(&fields)) {
    return std::nullopt;
  }
  return std::move(incoming.request);
}

// A LogitsChunk; where it comes in parts, the last contents count.
bool ReadChunk(Reader reader, Bytes& chunk) {
  while (!reader.done()) {
    Tag tag;
    if (!reader.ReadTag(tag)) return false;
    if (tag != Tag{v1::LogitsChunk::kRawFieldNumber, WireType::kLength}) {
      if (!reader.Skip(tag)) return false;
      continue;
    }
    Reader raw({});
    if (!reader.ReadBytes(raw)) return false;
    chunk.Clear();
    chunk.Append(raw.Rest());
  }
  return true;
}

// A StreamLossRequest on its way in.
using IncomingStream = std::variant<std::monostate, Incoming, Bytes>;

// What is set in `stream`, made a T first if it is something else.
template <typename T>
T& Choose(IncomingStream& stream) {
  if (!std::holds_alternative<T>(stream)) stream.emplace<T>();
  return std::get<T>(stream);
}

bool ReadStreamField(const Tag& tag, Reader& reader, IncomingStream& stream) {
  Reader message({});
  if (tag ==
      Tag{v1::StreamLossRequest::kHeaderFieldNumber, WireType::kLength}) {
    return reader.ReadMessage(message) &&
           ReadPart(message, Choose<Incoming>(stream));
  }
  if (tag == Tag{v1::StreamLossRequest::kChunkFieldNumber, WireType::kLength}) {
    // A header that a chunk replaces had to be a message all the same.
    auto* const header = std::get_if<Incoming>(&stream);
    if (header != nullptr && !Finish(std::move(*header))) return false;
    return reader.ReadMessage(message) &&
           ReadChunk(message, Choose<Bytes>(stream));
  }
  return reader.Skip(tag);
}

}  // namespace

std::optional<LossRequest> ParseLossRequest(Pieces pieces) {
  Incoming incoming;
  if (!ReadPart(Reader(pieces), incoming)) return std::nullopt;
  return Finish(std::move(incoming));
}

std::optional<HessianRequest> ParseHessianRequest(Pieces pieces) {
  using Message = v1::ComputeHessianVectorProductRequest;
  HessianRequest request;
  std::optional<Incoming> base;
  Reader reader(pieces);
  while (!reader.done()) {
    Tag tag;
    if (!reader.ReadTag(tag)) return std::nullopt;
    bool valid = false;
    if (tag == Tag{Message::kBaseFieldNumber, WireType::kLength}) {
      Reader message({});
      if (!base) base.emplace();
      valid = reader.ReadMessage(message) && ReadPart(message, *base);
    } else if (tag == Tag{Message::kVectorFieldNumber, WireType::kLength}) {
      valid = ReadTensorField(reader, request.vector);
    } else {
      valid = reader.Skip(tag);
    }
    if (!valid) return std::nullopt;
  }
  if (base) {
    request.base = Finish(*std::move(base));
    if (!request.base) return std::nullopt;
  }
  return request;
}

std::optional<StreamRequest> ParseStreamRequest(Pieces pieces) {
  IncomingStream stream;
  Reader reader(pieces);
  while (!reader.done()) {
    Tag tag;
    if (!reader.ReadTag(tag)) return std::nullopt;
    if (!ReadStreamField(tag, reader, stream)) return std::nullopt;
  }
  if (auto* const chunk = std::get_if<Bytes>(&stream)) {
    return StreamRequest(std::move(*chunk));
  }
  if (auto* const header = std::get_if<Incoming>(&stream)) {
    std::optional<LossRequest> request = Finish(std::move(*header));
    if (!request) return std::nullopt;
    return StreamRequest(*std::move(request));
  }
  return StreamRequest();
}

}  // namespace lossd::rpc::wire
