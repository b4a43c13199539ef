#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server_builder.h>

#include <utility>

#include "lossd/v1/loss_service.grpc.pb.h"
#include "tests/bench/server_model/builder.h"
#include "tests/bench/server_model/echo_server.h"

namespace lossd::bench {
namespace {

using grpc::ByteBuffer;

class UnaryService : public v1::LossService::WithRawCallbackMethod_ComputeLoss<
                         v1::LossService::Service> {
 public:
  UnaryService(Gate& gate, Worker& worker) : gate_(gate), worker_(worker) {}

  grpc::ServerUnaryReactor* ComputeLoss(grpc::CallbackServerContext* context,
                                        const ByteBuffer* request,
                                        ByteBuffer* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    gate_.WhenOpen([=, this] {
      worker_.Submit([=] {
        *response = *request;
        reactor->Finish(grpc::Status::OK);
      });
    });
    return reactor;
  }

 private:
  Gate& gate_;
  Worker& worker_;
};

class BidiReactor : public grpc::ServerGenericBidiReactor {
 public:
  BidiReactor(Gate& gate, Worker& worker) : worker_(worker) {
    gate.WhenOpen([this] { StartRead(&message_); });
  }

  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    worker_.Submit([this] {
      StartWriteAndFinish(&message_, grpc::WriteOptions(), grpc::Status::OK);
    });
  }

  void OnDone() override { delete this; }

 private:
  Worker& worker_;
  ByteBuffer message_;
};

class BidiService : public grpc::CallbackGenericService {
 public:
  BidiService(Gate& gate, Worker& worker) : gate_(gate), worker_(worker) {}

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext*) override {
    return new BidiReactor(gate_, worker_);
  }

 private:
  Gate& gate_;
  Worker& worker_;
};

class CallbackServer : public EchoServer {
 public:
  CallbackServer(const ModelConfig& config, Gate& gate, Worker& worker)
      : unary_(gate, worker), bidi_(gate, worker) {
    grpc::ServerBuilder builder;
    ConfigureBuilder(config, builder, port_);
    if (config.model == Model::kCallbackUnary) builder.RegisterService(&unary_);
    if (config.model == Model::kCallbackBidi) {
      builder.RegisterCallbackGenericService(&bidi_);
    }
    server_ = builder.BuildAndStart();
  }

  ~CallbackServer() override { server_->Shutdown(); }

  int port() const override { return port_; }

 private:
  int port_ = 0;
  UnaryService unary_;
  BidiService bidi_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

std::unique_ptr<EchoServer> StartCallbackServer(const ModelConfig& config,
                                                Gate& gate, Worker& worker) {
  return std::make_unique<CallbackServer>(config, gate, worker);
}

}  // namespace lossd::bench
