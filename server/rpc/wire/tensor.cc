#include "server/rpc/wire/tensor.h"

#include <cstddef>
#include <cstring>

namespace lossd::rpc::wire {
namespace {

// The field numbers in loss_service.proto.
constexpr uint32_t kValues = v1::FloatValues::kValuesFieldNumber;
static_assert(kValues == v1::Int64Values::kValuesFieldNumber);

template <typename Value>
Run RunOf(const Value* values, size_t count) {
  return {reinterpret_cast<const std::byte*>(values), count * sizeof(Value)};
}

// Makes `contents` the one that is set; what another one left goes.
void Choose(Tensor::Contents contents, Tensor& tensor) {
  if (tensor.contents == contents) return;
  tensor.contents = contents;
  tensor.elements.Clear();
}

// Packed or not, senders may choose: both are to be understood.
bool ReadShape(const Tag& tag, Reader& reader, std::vector<int64_t>& shape) {
  uint64_t length = 0;
  if (tag.type == WireType::kVarint) {
    if (!reader.ReadVarint(length)) return false;
    shape.push_back(static_cast<int64_t>(length));
    return true;
  }
  Reader packed({});
  if (!reader.ReadBytes(packed)) return false;
  while (!packed.done()) {
    if (!packed.ReadVarint(length)) return false;
    shape.push_back(static_cast<int64_t>(length));
  }
  return true;
}

bool ReadFloatValues(Reader reader, Bytes& elements) {
  while (!reader.done()) {
    Tag tag;
    Reader values({});
    if (!reader.ReadTag(tag)) return false;
    if (tag == Tag{kValues, WireType::kLength}) {
      if (!reader.ReadBytes(values)) return false;
      if (values.left() % sizeof(float) != 0) return false;
      elements.Append(values.Rest());
    } else if (tag == Tag{kValues, WireType::kFixed32}) {
      if (!reader.ReadFixed32(values)) return false;
      for (const Run& run : values.Rest()) elements.AppendCopy(run);
    } else if (!reader.Skip(tag)) {
      return false;
    }
  }
  return true;
}

bool ReadInt64Values(Reader reader, Bytes& elements) {
  std::vector<int64_t> values;
  while (!reader.done()) {
    Tag tag;
    if (!reader.ReadTag(tag)) return false;
    const bool is_values =
        tag.field == kValues &&
        (tag.type == WireType::kVarint || tag.type == WireType::kLength);
    if (is_values ? !ReadShape(tag, reader, values) : !reader.Skip(tag)) {
      return false;
    }
  }
  elements.AppendCopy(RunOf(values.data(), values.size()));
  return true;
}

bool ReadField(const Tag& tag, Reader& reader, Tensor& tensor) {
  const bool is_length = tag.type == WireType::kLength;
  const bool is_varint = tag.type == WireType::kVarint;
  Reader value({});
  switch (tag.field) {
    case v1::Tensor::kDataTypeFieldNumber: {
      if (!is_varint) break;
      uint64_t number = 0;
      if (!reader.ReadVarint(number)) return false;
      tensor.data_type = static_cast<v1::DataType>(static_cast<int>(number));
      return true;
    }
    case v1::Tensor::kShapeFieldNumber:
      if (!is_varint && !is_length) break;
      return ReadShape(tag, reader, tensor.shape);
    case v1::Tensor::kRawFieldNumber:
      if (!is_length) break;
      if (!reader.ReadBytes(value)) return false;
      Choose(Tensor::Contents::kRaw, tensor);
      tensor.elements.Clear();
      tensor.elements.Append(value.Rest());
      return true;
    case v1::Tensor::kFloatValuesFieldNumber:
      if (!is_length) break;
      Choose(Tensor::Contents::kFloatValues, tensor);
      return reader.ReadMessage(value) &&
             ReadFloatValues(value, tensor.elements);
    case v1::Tensor::kInt64ValuesFieldNumber:
      if (!is_length) break;
      Choose(Tensor::Contents::kInt64Values, tensor);
      return reader.ReadMessage(value) &&
             ReadInt64Values(value, tensor.elements);
    default:
      break;
  }
  return reader.Skip(tag);
}

}  // namespace

bool ReadTensor(Reader reader, Tensor& tensor) {
  while (!reader.done()) {
    Tag tag;
    if (!reader.ReadTag(tag) || !ReadField(tag, reader, tensor)) return false;
  }
  return true;
}

Tensor ViewOf(const v1::Tensor& message) {
  Tensor tensor;
  tensor.data_type = message.data_type();
  tensor.shape.assign(message.shape().begin(), message.shape().end());
  tensor.contents = message.contents_case();
  Run run;
  switch (tensor.contents) {
    case Tensor::Contents::kRaw:
      run = RunOf(message.raw().data(), message.raw().size());
      break;
    case Tensor::Contents::kFloatValues: {
      const auto& values = message.float_values().values();
      run = RunOf(values.data(), values.size());
      break;
    }
    case Tensor::Contents::kInt64Values: {
      const auto& values = message.int64_values().values();
      run = RunOf(values.data(), values.size());
      break;
    }
    case Tensor::Contents::CONTENTS_NOT_SET:
      break;
  }
  tensor.elements.Append({&run, 1});
  return tensor;
}

}  // namespace lossd::rpc::wire
