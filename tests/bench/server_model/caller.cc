#include "tests/bench/server_model/caller.h"

#include <arpa/inet.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>

#include "lossd/v1/loss_service.pb.h"

namespace lossd::bench {
namespace {

using Clock = std::chrono::steady_clock;

// One unary call in flight.
struct Call {
  grpc::ClientContext context;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
  grpc::ByteBuffer response;
  grpc::Status status;
};

void Start(grpc::GenericStub& stub, const grpc::ByteBuffer& request,
           grpc::CompletionQueue& queue) {
  auto* call = new Call;
  call->reader =
      stub.PrepareUnaryCall(&call->context, kEchoPath, request, &queue);
  call->reader->StartCall();
  call->reader->Finish(&call->response, &call->status, call);
}

// Waits for any call that `Start` began.
void FinishOne(grpc::CompletionQueue& queue) {
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  const std::unique_ptr<Call> call(static_cast<Call*>(tag));
  if (call->status.ok() && call->response.Length() > 0) return;
  std::fprintf(stderr, "call failed: %s\n",
               call->status.error_message().c_str());
  std::exit(1);
}

// What the small calls carry: valid, so that lossd computes it.
std::string SmallRequest() {
  constexpr int kRows = 32;
  constexpr int kClasses = 27;
  v1::ComputeLossRequest request;
  request.mutable_labels()->set_data_type(v1::DATA_TYPE_INT32);
  request.mutable_labels()->add_shape(kRows);
  request.mutable_labels()->set_raw(std::string(kRows * sizeof(int32_t), '\0'));
  request.mutable_logits()->set_data_type(v1::DATA_TYPE_FLOAT32);
  request.mutable_logits()->add_shape(kRows);
  request.mutable_logits()->add_shape(kClasses);
  std::string& logits = *request.mutable_logits()->mutable_raw();
  for (int i = 0; i < kRows * kClasses; ++i) {
    const float logit = static_cast<float>(i % 11) - 5;
    logits.append(reinterpret_cast<const char*>(&logit), sizeof(logit));
  }
  return request.SerializeAsString();
}

grpc::ByteBuffer ToMessage(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

// Blocking calls over a plain socket.
class SocketCaller {
 public:
  explicit SocketCaller(int port) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(socket_, reinterpret_cast<sockaddr*>(&address),
                sizeof(address)) != 0) {
      std::perror("connect");
      std::exit(1);
    }
  }
  ~SocketCaller() { close(socket_); }

  void Call() {
    if (write(socket_, bytes_.data(), bytes_.size()) < 0) std::perror("write");
    for (size_t got = 0; got < bytes_.size();) {
      const ssize_t now =
          read(socket_, bytes_.data() + got, bytes_.size() - got);
      if (now <= 0) std::exit(1);
      got += now;
    }
  }

 private:
  int socket_;
  std::string bytes_ = SmallRequest();
};

// Blocking calls over a channel.
struct GrpcCaller {
  explicit GrpcCaller(int port) : stub(OpenChannel(port)) {}

  void Call() {
    Start(stub, request, queue);
    FinishOne(queue);
  }

  grpc::GenericStub stub;
  grpc::CompletionQueue queue;
  grpc::ByteBuffer request = ToMessage(SmallRequest());
};

}  // namespace

std::shared_ptr<grpc::Channel> OpenChannel(int port) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port),
                                   grpc::InsecureChannelCredentials(),
                                   arguments);
}

Caller MakeCaller(Model model, int port) {
  if (model == Model::kSocket) {
    return [caller = std::make_shared<SocketCaller>(port)] { caller->Call(); };
  }
  return [caller = std::make_shared<GrpcCaller>(port)] { caller->Call(); };
}

double CallsPerSecond(int port, int outstanding,
                      std::chrono::milliseconds duration) {
  GrpcCaller caller(port);
  for (int i = 0; i < 200; ++i) caller.Call();
  const Clock::time_point begin = Clock::now();
  for (int i = 0; i < outstanding; ++i) {
    Start(caller.stub, caller.request, caller.queue);
  }
  int64_t calls = 0;
  while (Clock::now() - begin < duration) {
    FinishOne(caller.queue);
    ++calls;
    Start(caller.stub, caller.request, caller.queue);
  }
  const std::chrono::duration<double> seconds = Clock::now() - begin;
  for (int i = 0; i < outstanding; ++i) FinishOne(caller.queue);
  return static_cast<double>(calls) / seconds.count();
}

void CallMeanwhile(int port, int calls, size_t bytes,
                   const std::function<void()>& meanwhile) {
  GrpcCaller caller(port);
  const grpc::ByteBuffer request = ToMessage(std::string(bytes, 'x'));
  for (int i = 0; i < calls; ++i) Start(caller.stub, request, caller.queue);
  // A client writes only while somebody waits on its queue.
  std::thread waiter([&] {
    for (int i = 0; i < calls; ++i) FinishOne(caller.queue);
  });
  meanwhile();
  waiter.join();
}

std::string AskReflection(int port, const std::string& message) {
  GrpcCaller caller(port);
  grpc::ClientContext context;
  auto stream = caller.stub.PrepareCall(
      &context,
      "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
      &caller.queue);
  void* tag = nullptr;
  bool ok = false;
  grpc::ByteBuffer answer;
  grpc::Status status;
  stream->StartCall(nullptr);
  caller.queue.Next(&tag, &ok);
  stream->WriteLast(ToMessage(message), grpc::WriteOptions(), nullptr);
  caller.queue.Next(&tag, &ok);
  stream->Read(&answer, nullptr);
  caller.queue.Next(&tag, &ok);
  const bool answered = ok;
  stream->Finish(&status, nullptr);
  caller.queue.Next(&tag, &ok);
  std::string text;
  std::vector<grpc::Slice> slices;
  if (!answered || !answer.Dump(&slices).ok()) return text;
  for (const grpc::Slice& part : slices) {
    text.append(reinterpret_cast<const char*>(part.begin()), part.size());
  }
  return text;
}

}  // namespace lossd::bench
