#include "tests/bench/support/bidi_echo.h"

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/byte_buffer.h>

namespace lossd::bench {

using grpc::ByteBuffer;

void PollCalls(grpc::ServerCompletionQueue& queue) {
  void* tag = nullptr;
  bool ok = false;
  while (queue.Next(&tag, &ok)) static_cast<QueueCall*>(tag)->Proceed(ok);
}

class BidiEcho::Call : public QueueCall {
 public:
  Call(BidiEcho& echo, grpc::ServerCompletionQueue& queue, Gate& gate,
       Worker& worker)
      : echo_(echo),
        queue_(queue),
        gate_(gate),
        worker_(worker),
        stream_(&context_) {
    echo.RequestAsyncBidiStreaming(0, &context_, &stream_, &queue, &queue,
                                   this);
  }

  void Proceed(bool ok) override {
    if (state_ == State::kRequested && ok) {
      state_ = State::kReading;
      echo_.AwaitCall(queue_, gate_, worker_);
      gate_.WhenOpen([this] { stream_.Read(&message_, this); });
    } else if (state_ == State::kReading) {
      state_ = State::kAnswered;
      if (!ok) return stream_.Finish(grpc::Status::CANCELLED, this);
      worker_.Submit([this] {
        stream_.WriteAndFinish(message_, grpc::WriteOptions(), grpc::Status::OK,
                               this);
      });
    } else {
      delete this;
    }
  }

 private:
  enum class State { kRequested, kReading, kAnswered };

  BidiEcho& echo_;
  grpc::ServerCompletionQueue& queue_;
  Gate& gate_;
  Worker& worker_;
  grpc::ServerContext context_;
  ByteBuffer message_;
  grpc::ServerAsyncReaderWriter<ByteBuffer, ByteBuffer> stream_;
  State state_ = State::kRequested;
};

BidiEcho::BidiEcho() {
  AddMethod(new grpc::internal::RpcServiceMethod(
      kEchoPath, grpc::internal::RpcMethod::BIDI_STREAMING, nullptr));
  MarkMethodRaw(0);
}

void BidiEcho::AwaitCall(grpc::ServerCompletionQueue& queue, Gate& gate,
                         Worker& worker) {
  new Call(*this, queue, gate, worker);
}

}  // namespace lossd::bench
