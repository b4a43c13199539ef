#ifndef LOSSD_TESTS_CLIENT_FAKE_SERVER_H_
#define LOSSD_TESTS_CLIENT_FAKE_SERVER_H_

#include <grpcpp/server.h>
#include <grpcpp/server_context.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "lossd/v1/loss_service.grpc.pb.h"

namespace lossd::testing {

// A server in this process that answers as a test says, well or badly.
class FakeServer {
 public:
  using Handler = std::function<grpc::Status(grpc::ServerContext&,
                                             const v1::ComputeLossRequest&,
                                             v1::ComputeLossResponse&)>;

  using HessianHandler =
      std::function<grpc::Status(const v1::ComputeHessianVectorProductRequest&,
                                 v1::ComputeHessianVectorProductResponse&)>;

  using Stream =
      grpc::ServerReaderWriter<v1::StreamLossResponse, v1::StreamLossRequest>;
  using StreamHandler =
      std::function<grpc::Status(grpc::ServerContext&, Stream&)>;

  // Listens at `address`, on a free port by default.
  explicit FakeServer(Handler handler,
                      const std::string& address = "127.0.0.1:0");
  // Ends the calls in flight, too.
  ~FakeServer();

  const std::string& target() const { return target_; }
  int calls() const { return service_.calls; }
  // Answers ComputeHessianVectorProduct from now on.
  void OnHessianVectorProduct(HessianHandler handler);
  // Answers StreamLoss from now on.
  void OnStreamLoss(StreamHandler handler);
  // Sets what the health service says of `service`.
  void SetServing(const std::string& service, bool serving);

 private:
  struct Service : v1::LossService::Service {
    grpc::Status ComputeLoss(grpc::ServerContext* context,
                             const v1::ComputeLossRequest* request,
                             v1::ComputeLossResponse* response) override;
    grpc::Status StreamLoss(grpc::ServerContext* context,
                            Stream* stream) override;
    grpc::Status ComputeHessianVectorProduct(
        grpc::ServerContext* context,
        const v1::ComputeHessianVectorProductRequest* request,
        v1::ComputeHessianVectorProductResponse* response) override;
    grpc::Status GetServerInfo(grpc::ServerContext* context,
                               const v1::GetServerInfoRequest* request,
                               v1::GetServerInfoResponse* response) override;

    Handler handler;
    // Orders the test's thread and the server's, as gRPC does in code that
    // ThreadSanitizer does not see.
    std::mutex mutex;
    // Unset: UNIMPLEMENTED; guarded by mutex.
    HessianHandler hessian_handler;
    StreamHandler stream_handler;
    std::atomic<int> calls{0};
  };

  Service service_;
  std::unique_ptr<grpc::Server> server_;
  std::string target_;
};

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_CLIENT_FAKE_SERVER_H_
