#include <grpcpp/completion_queue.h>
#include <grpcpp/server.h>
#include <grpcpp/support/async_unary_call.h>

#include <thread>
#include <vector>

#include "lossd/v1/loss_service.grpc.pb.h"
#include "tests/bench/server_model/builder.h"
#include "tests/bench/server_model/echo_server.h"
#include "tests/bench/support/bidi_echo.h"

namespace lossd::bench {
namespace {

using grpc::ByteBuffer;

// Calls that wait for a client at any time.
constexpr int kWaitingCalls = 64;

using UnaryService =
    v1::LossService::WithRawMethod_ComputeLoss<v1::LossService::Service>;

// What every call needs; outlives the calls.
struct Rooms {
  grpc::ServerCompletionQueue* queue;
  Gate& gate;
  Worker& worker;
  UnaryService unary;
  BidiEcho bidi;
};

class UnaryCall : public QueueCall {
 public:
  explicit UnaryCall(Rooms& rooms) : rooms_(rooms), responder_(&context_) {
    rooms_.unary.RequestComputeLoss(&context_, &message_, &responder_,
                                    rooms_.queue, rooms_.queue, this);
  }

  void Proceed(bool ok) override {
    if (!ok || answered_) {
      delete this;
      return;
    }
    answered_ = true;
    new UnaryCall(rooms_);
    rooms_.gate.WhenOpen([this] {
      rooms_.worker.Submit(
          [this] { responder_.Finish(message_, grpc::Status::OK, this); });
    });
  }

 private:
  Rooms& rooms_;
  grpc::ServerContext context_;
  ByteBuffer message_;
  grpc::ServerAsyncResponseWriter<ByteBuffer> responder_;
  bool answered_ = false;
};

class QueueServer : public EchoServer {
 public:
  QueueServer(const ModelConfig& config, Gate& gate, Worker& worker)
      : rooms_{nullptr, gate, worker, {}, {}} {
    grpc::ServerBuilder builder;
    ConfigureBuilder(config, builder, port_);
    const bool unary = config.model == Model::kQueueUnary;
    if (unary) {
      builder.RegisterService(&rooms_.unary);
    } else {
      builder.RegisterService(&rooms_.bidi);
    }
    queue_ = builder.AddCompletionQueue();
    rooms_.queue = queue_.get();
    server_ = builder.BuildAndStart();
    for (int i = 0; i < kWaitingCalls; ++i) {
      if (unary) {
        new UnaryCall(rooms_);
      } else {
        rooms_.bidi.AwaitCall(*queue_, gate, worker);
      }
    }
    for (int i = 0; i < config.poll_threads; ++i) {
      threads_.emplace_back([this] { PollCalls(*queue_); });
    }
  }

  ~QueueServer() override {
    server_->Shutdown();
    queue_->Shutdown();
    for (auto& thread : threads_) thread.join();
  }

  int port() const override { return port_; }

 private:
  int port_ = 0;
  Rooms rooms_;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<grpc::Server> server_;
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<EchoServer> StartQueueServer(const ModelConfig& config,
                                             Gate& gate, Worker& worker) {
  return std::make_unique<QueueServer>(config, gate, worker);
}

}  // namespace lossd::bench
