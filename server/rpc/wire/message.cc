#include "server/rpc/wire/message.h"

#include <atomic>
#include <utility>

#include "server/rpc/in_process.h"

namespace lossd::rpc::wire {
namespace {

// A buffer that gRPC holds. It orders what we did to it before what gRPC's
// thread does, but in code that ThreadSanitizer does not see.
struct SentBuffer {
  Buffer buffer;
  std::atomic<bool> is_handed_over{false};
};

void Free(void* sent) {
  auto* const buffer = static_cast<SentBuffer*>(sent);
  (void)buffer->is_handed_over.load(std::memory_order_acquire);
  TakeOverInProcess();
  delete buffer;
}

}  // namespace

ReceivedMessage::ReceivedMessage(grpc::ByteBuffer& message) {
  // Fails only for what is no buffer of bytes or is compressed, and the server
  // takes neither.
  buffer_.Swap(&message);
  (void)buffer_.Dump(&slices_).ok();
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
  auto* const sent = new SentBuffer{std::move(buffer)};
  slices_.emplace_back(sent->buffer.bytes().data(), size, Free, sent);
  sent->is_handed_over.store(true, std::memory_order_release);
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
