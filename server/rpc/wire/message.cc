#include "server/rpc/wire/message.h"

namespace lossd::rpc::wire {

ReceivedMessage::ReceivedMessage(grpc::ByteBuffer& message) {
  // Fails only for what is no buffer of bytes or is compressed, and the server
  // takes neither.
  (void)message.Dump(&slices_).ok();
  message.Clear();
  pieces_.reserve(slices_.size());
  for (const grpc::Slice& slice : slices_) {
    pieces_.emplace_back(reinterpret_cast<const std::byte*>(slice.begin()),
                         slice.size());
  }
}

void OutgoingMessage::Append(Buffer buffer) {
  if (buffer.empty()) return;
  CloseSmall();
  size_ += buffer.size();
  const size_t size = buffer.size();
  auto* const owner = new Buffer(std::move(buffer));
  slices_.emplace_back(
      owner->bytes().data(), size,
      [](void* buffer) { delete static_cast<Buffer*>(buffer); }, owner);
}

void OutgoingMessage::CloseSmall() {
  if (small_.empty()) return;
  slices_.emplace_back(small_);
  size_ += small_.size();
  small_.clear();
}

grpc::ByteBuffer OutgoingMessage::Release() {
  CloseSmall();
  // An empty message is one of no bytes, not no message.
  if (slices_.empty()) slices_.emplace_back();
  grpc::ByteBuffer message(slices_.data(), slices_.size());
  slices_.clear();
  size_ = 0;
  return message;
}

}  // namespace lossd::rpc::wire
