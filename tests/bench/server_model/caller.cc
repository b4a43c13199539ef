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
#include <memory>
#include <string>
#include <thread>

#include "tests/bench/support/bidi_echo.h"
#include "tests/bench/support/payload.h"
#include "tests/bench/support/raw_caller.h"

namespace lossd::bench {
namespace {

using Clock = std::chrono::steady_clock;

// Waits for any call that was begun.
void FinishOne(RawCaller& caller) {
  const RawAnswer answer = caller.FinishOne();
  if (answer.status.ok() && answer.response.Length() > 0) return;
  std::fprintf(stderr, "call failed: %s\n",
               answer.status.error_message().c_str());
  std::exit(1);
}

// A channel of its own, any message size allowed.
std::shared_ptr<grpc::Channel> OpenChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(),
                                   arguments);
}

int PortOf(const std::string& address) {
  return std::stoi(address.substr(address.rfind(':') + 1));
}

// What the small calls carry: valid, so that lossd computes it.
std::string SmallRequest() {
  return DrawRequest({.rows = 32, .classes = 27}).SerializeAsString();
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
  explicit GrpcCaller(const std::string& address)
      : calls(OpenChannel(address), kEchoPath) {}

  void Call() {
    calls.Start(request);
    FinishOne(calls);
  }

  RawCaller calls;
  grpc::ByteBuffer request = ToMessage(SmallRequest());
};

}  // namespace

Caller MakeCaller(Model model, const std::string& address) {
  if (model == Model::kSocket) {
    return [caller = std::make_shared<SocketCaller>(PortOf(address))] {
      caller->Call();
    };
  }
  return [caller = std::make_shared<GrpcCaller>(address)] { caller->Call(); };
}

double CallsPerSecond(const std::string& address, int outstanding,
                      std::chrono::milliseconds duration) {
  GrpcCaller caller(address);
  for (int i = 0; i < 200; ++i) caller.Call();
  const Clock::time_point begin = Clock::now();
  for (int i = 0; i < outstanding; ++i) {
    caller.calls.Start(caller.request);
  }
  int64_t calls = 0;
  while (Clock::now() - begin < duration) {
    FinishOne(caller.calls);
    ++calls;
    caller.calls.Start(caller.request);
  }
  const std::chrono::duration<double> seconds = Clock::now() - begin;
  for (int i = 0; i < outstanding; ++i) FinishOne(caller.calls);
  return static_cast<double>(calls) / seconds.count();
}

void CallMeanwhile(const std::string& address, int calls, size_t bytes,
                   const std::function<void()>& meanwhile) {
  GrpcCaller caller(address);
  const grpc::ByteBuffer request = ToMessage(std::string(bytes, 'x'));
  for (int i = 0; i < calls; ++i) caller.calls.Start(request);
  // A client writes only while somebody waits on its queue.
  std::thread waiter([&] {
    for (int i = 0; i < calls; ++i) FinishOne(caller.calls);
  });
  meanwhile();
  waiter.join();
}

std::string AskReflection(const std::string& address,
                          const std::string& message) {
  grpc::GenericStub stub(OpenChannel(address));
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  auto stream = stub.PrepareCall(
      &context,
      "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  void* tag = nullptr;
  bool ok = false;
  grpc::ByteBuffer answer;
  grpc::Status status;
  stream->StartCall(nullptr);
  queue.Next(&tag, &ok);
  stream->WriteLast(ToMessage(message), grpc::WriteOptions(), nullptr);
  queue.Next(&tag, &ok);
  stream->Read(&answer, nullptr);
  queue.Next(&tag, &ok);
  const bool answered = ok;
  stream->Finish(&status, nullptr);
  queue.Next(&tag, &ok);
  return answered ? ToString(answer) : "";
}

}  // namespace lossd::bench
