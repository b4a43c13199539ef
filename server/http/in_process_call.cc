#include "server/http/in_process_call.h"

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include "server/rpc/in_process.h"

namespace lossd::http {
namespace {

constexpr std::chrono::milliseconds kGiveUpInterval(20);

constexpr char kRequestIdKey[] = "x-request-id";

}  // namespace

CallResult InProcessCaller::Call(const std::string& path,
                                 const grpc::ByteBuffer& request,
                                 const CallTerms& terms) {
  CallResult result;
  grpc::ClientContext context;
  context.set_deadline(terms.deadline);
  for (const auto& [key, value] : terms.metadata) {
    context.AddMetadata(key, value);
  }
  grpc::CompletionQueue queue;
  const auto call = stub_.PrepareUnaryCall(&context, path, request, &queue);
  rpc::HandOverInProcess();
  call->StartCall();
  call->Finish(&result.response, &result.status, nullptr);
  void* tag;
  bool ok;
  while (queue.AsyncNext(&tag, &ok,
                         std::chrono::system_clock::now() + kGiveUpInterval) ==
         grpc::CompletionQueue::TIMEOUT) {
    if (terms.is_given_up()) context.TryCancel();
  }
  rpc::TakeOverInProcess();
  const auto& trailing = context.GetServerTrailingMetadata();
  if (const auto id = trailing.find(kRequestIdKey); id != trailing.end()) {
    result.request_id.assign(id->second.data(), id->second.size());
  }
  return result;
}

grpc::Status ParseAnswer(grpc::ByteBuffer& answer,
                         google::protobuf::Message& message) {
  // What is read is freed after it was handed over: by the call, maybe.
  grpc::ByteBuffer read = answer;
  grpc::Status status =
      grpc::SerializationTraits<google::protobuf::Message>::Deserialize(
          &read, &message);
  rpc::HandOverInProcess();
  answer.Clear();
  return status;
}

}  // namespace lossd::http
