// A gRPC call of the server in this very process.
#ifndef LOSSD_SERVER_HTTP_IN_PROCESS_CALL_H_
#define LOSSD_SERVER_HTTP_IN_PROCESS_CALL_H_

#include <google/protobuf/message.h>
#include <grpcpp/channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace lossd::http {

// What goes along with a call's message.
struct CallTerms {
  std::chrono::system_clock::time_point deadline;
  std::vector<std::pair<std::string, std::string>> metadata;
  // Asked every few milliseconds: true cancels the call.
  std::function<bool()> is_given_up;
};

struct CallResult {
  grpc::Status status;
  grpc::ByteBuffer response;
  std::string request_id;  // as the server has it in its log; else empty
};

// Parses a message that was answered in this process, which is empty then.
grpc::Status ParseAnswer(grpc::ByteBuffer& answer,
                         google::protobuf::Message& message);

// Calls methods by their paths, with messages as bytes. Any thread.
class InProcessCaller {
 public:
  explicit InProcessCaller(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(channel) {}

  // Waits for the answer: until the deadline at the longest.
  CallResult Call(const std::string& path, const grpc::ByteBuffer& request,
                  const CallTerms& terms);

 private:
  grpc::GenericStub stub_;
};

}  // namespace lossd::http

#endif  // LOSSD_SERVER_HTTP_IN_PROCESS_CALL_H_
