#include "server/rpc/unary_call.h"

#include "absl/status/statusor.h"
#include "server/rpc/errors.h"

namespace lossd::rpc {
namespace {

// A message so small is computed by the poller that has read it: to wake
// another thread takes as long as 128x1000 does with the pool's help, 0.1 ms.
// The slowest loss keeps the poller from its other calls for some 5 ms.
constexpr size_t kSmallBytes = 640 << 10;

}  // namespace

void UnaryCall::Listen(grpc::ServerContext* context, void* tag) {
  environment().service.RequestCall(method_, context, &stream(), queue(), tag);
}

Call* UnaryCall::Another() const {
  return new UnaryCall(environment(), method_, queue());
}

void UnaryCall::Begin() {
  HandOver();
  stream().Read(&request_, &read_tag_);
}

void UnaryCall::OnRead(bool ok) {
  const absl::Status status = CheckStop();
  if (!status.ok()) return Finish(status);
  if (!ok) return Finish(NoRequestMessage());
  const size_t bytes = request_.Length();
  if (bytes > static_cast<size_t>(environment().max_request_bytes)) {
    request_.Clear();
    return Finish(RequestTooLarge(bytes, environment().max_request_bytes));
  }
  Hold();
  if (bytes <= kSmallBytes) return Compute();
  environment().pool.Submit([this] { Compute(); });
}

void UnaryCall::Compute() {
  absl::Status status = CheckStop();
  if (status.ok()) {
    const auto stop_check = [this] { return CheckStop(); };
    const absl::StatusOr<grpc::ByteBuffer> response =
        environment().service.Run(method_, request_, stop_check);
    if (response.ok()) {
      FinishWith(*response);
    } else {
      status = response.status();
    }
  }
  if (!status.ok()) Finish(status);
  Release();
}

}  // namespace lossd::rpc
