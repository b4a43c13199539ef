// lossd.v1.LossService: what its methods do with a message's bytes.
#ifndef LOSSD_SERVER_RPC_LOSS_SERVICE_H_
#define LOSSD_SERVER_RPC_LOSS_SERVICE_H_

#include <grpcpp/completion_queue.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lossd/v1/loss_service.pb.h"
#include "server/compute/loss.h"
#include "server/compute/thread_pool.h"
#include "server/rpc/computed_work.h"
#include "server/rpc/options.h"
#include "server/rpc/streamed_batch.h"
#include "server/rpc/wire/requests.h"
#include "server/rpc/wire/responses.h"

namespace lossd::rpc {

inline constexpr char kServiceName[] = "lossd.v1.LossService";

// Asks for memory of so many bytes beside the request: the answer and whatever
// it is computed in. An error ends the call.
using ReserveMemory = absl::FunctionRef<absl::Status(int64_t bytes)>;
inline absl::Status UnlimitedMemory(int64_t) { return absl::OkStatus(); }

// Every method is registered as a raw stream in both directions: unary clients
// cannot tell, the payload stays with the sender until it is read, and
// reflection lists the service as it would not list a generic one. docs/adr/
// has the server model's record.
//
// Threads: all members may be called from any thread.
class LossService : public grpc::Service {
 public:
  using Stream =
      grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;

  // `options.compute_threads` is not looked at: `pool` has as many as it has.
  LossService(const Options& options, compute::ThreadPool& pool);

  // The unary RPCs, as the contract has them. `stop_check` is asked between
  // blocks of rows, `reserve` before anything is allocated.
  absl::StatusOr<wire::LossResponse> ComputeLoss(
      const wire::LossRequest& request, compute::StopCheck stop_check,
      ReserveMemory reserve = UnlimitedMemory) const;
  absl::StatusOr<wire::OutgoingTensor> ComputeHessianVectorProduct(
      const wire::HessianRequest& request, compute::StopCheck stop_check,
      ReserveMemory reserve = UnlimitedMemory) const;
  v1::GetServerInfoResponse GetServerInfo() const;

  // What all methods have computed so far.
  const ComputedWork& computed() const { return computed_; }

  // The number of methods; they are numbered from 0.
  static int method_count();
  // As in the contract: "ComputeLoss".
  static std::string_view MethodName(int method);
  // As in "/lossd.v1.LossService/ComputeLoss".
  static const char* PathOf(int method);
  // Whether `method` is StreamLoss; Run runs all others.
  static bool IsStream(int method);

  // Asks gRPC for the next call of `method`: `tag` comes back on `queue`.
  void RequestCall(int method, grpc::ServerContext* context, Stream* stream,
                   grpc::ServerCompletionQueue* queue, void* tag);

  // Runs a unary method on its message, which is empty then. Its tensors are
  // read where gRPC put them and its answer is sent from where the core wrote
  // it: docs/design.md follows the bytes.
  //
  // Errors: InvalidArgument: no message of the method's request type.
  //   ResourceExhausted: no memory. Whatever the RPC or `reserve` returns.
  absl::StatusOr<grpc::ByteBuffer> Run(
      int method, grpc::ByteBuffer& request, compute::StopCheck stop_check,
      ReserveMemory reserve = UnlimitedMemory) const;

  // The state of one StreamLoss.
  std::unique_ptr<StreamedBatch> NewStreamedBatch() const;

 private:
  const int64_t max_request_bytes_;
  const int64_t memory_budget_bytes_;
  compute::ThreadPool& pool_;
  mutable ComputedWork computed_;
};

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_LOSS_SERVICE_H_
