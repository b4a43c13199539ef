#include "server/rpc/wire/reader.h"

#include <algorithm>

namespace lossd::rpc::wire {
namespace {

constexpr int kMaxVarintBytes = 10;
// A tag and a length are 32 bits wide; protobuf takes no more bytes for them,
// and of a tag's fifth byte the bits that fit.
constexpr int kMaxTagBytes = 5;
constexpr int kMaxLengthBytes = 5;
// protobuf wants this much room for its own reading below 2^31.
constexpr uint64_t kMaxLength = 0x7fffffff - 16;

}  // namespace

Reader::Reader(Pieces pieces) : piece_(pieces.data()) {
  for (const Run& run : pieces) left_ += run.size();
}

bool Reader::ReadByte(uint8_t& byte) {
  if (left_ == 0) return false;
  while (offset_ == piece_->size()) {
    ++piece_;
    offset_ = 0;
  }
  byte = static_cast<uint8_t>((*piece_)[offset_++]);
  --left_;
  return true;
}

bool Reader::ReadVarint(uint64_t& value) {
  value = 0;
  for (int i = 0; i < kMaxVarintBytes; ++i) {
    uint8_t byte = 0;
    if (!ReadByte(byte)) return false;
    value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if (byte < 0x80) return true;
  }
  return false;
}

bool Reader::ReadAnyTag(Tag& tag) {
  uint64_t value = 0;
  uint8_t byte = 0x80;
  for (int i = 0; byte >= 0x80; ++i) {
    if (i == kMaxTagBytes || !ReadByte(byte)) return false;
    value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
  }
  const auto bits = static_cast<uint32_t>(value);
  tag.field = bits >> 3;
  tag.type = static_cast<WireType>(bits & 7);
  return tag.field != 0 && (bits & 7) <= 5;
}

bool Reader::ReadTag(Tag& tag) {
  return ReadAnyTag(tag) && tag.type != WireType::kEndGroup;
}

bool Reader::ReadLength(size_t& length) {
  uint64_t value = 0;
  uint8_t byte = 0x80;
  for (int i = 0; byte >= 0x80; ++i) {
    if (i == kMaxLengthBytes || !ReadByte(byte)) return false;
    value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
  }
  if (value > kMaxLength) return false;
  length = static_cast<size_t>(value);
  return length <= left_;
}

bool Reader::SkipBytes(size_t size) {
  if (size > left_) return false;
  left_ -= size;
  while (size > 0) {
    const size_t here = std::min(size, piece_->size() - offset_);
    offset_ += here;
    size -= here;
    if (size == 0) break;
    ++piece_;
    offset_ = 0;
  }
  return true;
}

bool Reader::Split(size_t size, Reader& part) {
  part = *this;
  if (!SkipBytes(size)) return false;
  part.left_ = size;
  return true;
}

bool Reader::ReadBytes(Reader& value) {
  size_t length = 0;
  return ReadLength(length) && Split(length, value);
}

bool Reader::ReadMessage(Reader& message) {
  if (!ReadBytes(message)) return false;
  --message.depth_left_;
  return message.depth_left_ >= 0;
}

bool Reader::Skip(const Tag& tag) {
  switch (tag.type) {
    case WireType::kVarint: {
      uint64_t value = 0;
      return ReadVarint(value);
    }
    case WireType::kFixed64:
      return SkipBytes(8);
    case WireType::kLength: {
      size_t length = 0;
      return ReadLength(length) && SkipBytes(length);
    }
    case WireType::kStartGroup:
      return SkipGroup(tag.field);
    case WireType::kFixed32:
      return SkipBytes(4);
    case WireType::kEndGroup:
      break;
  }
  return false;
}

bool Reader::SkipGroup(uint32_t field) {
  // The groups that are open, innermost last: no recursion, since a sender
  // chooses how deep they lie.
  std::vector<uint32_t> open = {field};
  while (!open.empty()) {
    if (static_cast<int>(open.size()) > depth_left_) return false;
    Tag tag;
    if (!ReadAnyTag(tag)) return false;
    if (tag.type == WireType::kStartGroup) {
      open.push_back(tag.field);
    } else if (tag.type == WireType::kEndGroup) {
      if (tag.field != open.back()) return false;
      open.pop_back();
    } else if (!Skip(tag)) {
      return false;
    }
  }
  return true;
}

std::vector<Run> Reader::Rest() const {
  std::vector<Run> runs;
  size_t left = left_;
  size_t offset = offset_;
  for (const Run* piece = piece_; left > 0; ++piece, offset = 0) {
    const size_t here = std::min(left, piece->size() - offset);
    if (here > 0) runs.push_back(piece->subspan(offset, here));
    left -= here;
  }
  return runs;
}

void Reader::CopyTo(size_t size, std::string& to) const {
  size_t offset = offset_;
  for (const Run* piece = piece_; size > 0; ++piece, offset = 0) {
    const size_t here = std::min(size, piece->size() - offset);
    to.append(reinterpret_cast<const char*>(piece->data()) + offset, here);
    size -= here;
  }
}

}  // namespace lossd::rpc::wire
