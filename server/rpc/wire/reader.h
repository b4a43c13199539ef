// protobuf's wire format, read from bytes that lie in pieces.
#ifndef LOSSD_SERVER_RPC_WIRE_READER_H_
#define LOSSD_SERVER_RPC_WIRE_READER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "server/rpc/wire/bytes.h"

namespace lossd::rpc::wire {

enum class WireType {
  kVarint = 0,
  kFixed64 = 1,
  kLength = 2,
  kStartGroup = 3,
  kEndGroup = 4,
  kFixed32 = 5,
};

struct Tag {
  uint32_t field = 0;
  WireType type = WireType::kVarint;

  bool operator==(const Tag&) const = default;
};

// How deep messages and groups may lie in each other, as protobuf has it.
inline constexpr int kMaxDepth = 100;

// Goes through the fields of one message. What it takes and refuses is what
// protobuf's generated parsers do; tests/rpc/wire and tests/fuzz hold the two
// against each other. Every member that returns a bool returns false where the
// bytes are no valid message; the reader is then of no more use.
//
// Cost: nothing is copied or allocated but by the members that say so.
class Reader {
 public:
  // The whole of `pieces`, which outlives this object and the readers and
  // pieces that it hands out.
  explicit Reader(Pieces pieces);

  bool done() const { return left_ == 0; }
  size_t left() const { return left_; }
  // How much deeper what is in it may lie.
  int depth_left() const { return depth_left_; }

  // The next field's number and type; one that ends a group is no field.
  bool ReadTag(Tag& tag);

  // The value of a field of this type.
  bool ReadVarint(uint64_t& value);
  bool ReadFixed32(Reader& value) { return Split(4, value); }
  bool ReadBytes(Reader& value);
  // The same as a message, which lies one deeper.
  bool ReadMessage(Reader& message);

  // Goes past the value of the field that `tag` begins.
  bool Skip(const Tag& tag);

  // What is left, as pieces. Allocates them.
  std::vector<Run> Rest() const;
  // Copies the next `size` bytes to the end of `to`. REQUIRES: as many.
  void CopyTo(size_t size, std::string& to) const;

 private:
  // A reader of the next `size` bytes, which this one goes past.
  bool Split(size_t size, Reader& part);
  bool SkipBytes(size_t size);
  bool SkipGroup(uint32_t field);
  bool ReadByte(uint8_t& byte);
  bool ReadAnyTag(Tag& tag);
  bool ReadLength(size_t& length);

  const Run* piece_ = nullptr;  // holds the next byte, if any is left
  size_t offset_ = 0;           // where in it
  size_t left_ = 0;
  int depth_left_ = kMaxDepth;
};

}  // namespace lossd::rpc::wire

#endif  // LOSSD_SERVER_RPC_WIRE_READER_H_
