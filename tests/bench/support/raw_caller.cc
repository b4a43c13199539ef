#include "tests/bench/support/raw_caller.h"

#include <grpcpp/client_context.h>
#include <grpcpp/support/async_unary_call.h>

#include <utility>
#include <vector>

namespace lossd::bench {
namespace {

struct CallInFlight {
  grpc::ClientContext context;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
  RawAnswer answer;
};

}  // namespace

grpc::ByteBuffer ToMessage(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string ToString(const grpc::ByteBuffer& message) {
  std::string text;
  std::vector<grpc::Slice> slices;
  if (!message.Dump(&slices).ok()) return text;
  text.reserve(message.Length());
  for (const grpc::Slice& part : slices) {
    text.append(reinterpret_cast<const char*>(part.begin()), part.size());
  }
  return text;
}

RawCaller::RawCaller(const std::shared_ptr<grpc::Channel>& channel,
                     std::string path)
    : path_(std::move(path)), stub_(channel) {}

RawCaller::~RawCaller() {
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) delete static_cast<CallInFlight*>(tag);
}

RawAnswer RawCaller::Call(const grpc::ByteBuffer& request) {
  Start(request);
  return FinishOne();
}

void RawCaller::Start(const grpc::ByteBuffer& request) {
  auto* call = new CallInFlight;
  call->reader =
      stub_.PrepareUnaryCall(&call->context, path_, request, &queue_);
  call->reader->StartCall();
  call->reader->Finish(&call->answer.response, &call->answer.status, call);
}

RawAnswer RawCaller::FinishOne() {
  void* tag = nullptr;
  bool ok = false;
  queue_.Next(&tag, &ok);
  const std::unique_ptr<CallInFlight> call(static_cast<CallInFlight*>(tag));
  return std::move(call->answer);
}

}  // namespace lossd::bench
