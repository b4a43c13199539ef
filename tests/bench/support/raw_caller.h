// The client's side: messages as bytes, nothing parsed.
#ifndef LOSSD_TESTS_BENCH_SUPPORT_RAW_CALLER_H_
#define LOSSD_TESTS_BENCH_SUPPORT_RAW_CALLER_H_

#include <grpcpp/channel.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <memory>
#include <string>

namespace lossd::bench {

// A message of these bytes, copied once.
grpc::ByteBuffer ToMessage(const std::string& bytes);
std::string ToString(const grpc::ByteBuffer& message);

// How a call ended.
struct RawAnswer {
  grpc::Status status;
  grpc::ByteBuffer response;
};

// Unary calls of one path on a completion queue of its own. Not thread-safe,
// but for FinishOne while others start. Start and FinishOne come in pairs.
class RawCaller {
 public:
  RawCaller(const std::shared_ptr<grpc::Channel>& channel, std::string path);
  ~RawCaller();

  RawCaller(const RawCaller&) = delete;
  RawCaller& operator=(const RawCaller&) = delete;

  // Calls and waits for the answer.
  RawAnswer Call(const grpc::ByteBuffer& request);

  // Begins a call. Its request is written only while somebody is in FinishOne.
  void Start(const grpc::ByteBuffer& request);
  // Waits for any call that was begun.
  RawAnswer FinishOne();

 private:
  const std::string path_;
  grpc::GenericStub stub_;
  grpc::CompletionQueue queue_;
};

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_SUPPORT_RAW_CALLER_H_
