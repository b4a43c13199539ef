// lossd's methods over HTTP, as JSON.
#ifndef LOSSD_SERVER_HTTP_API_H_
#define LOSSD_SERVER_HTTP_API_H_

#include <grpcpp/channel.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "server/http/in_process_call.h"
#include "server/http/response_json.h"
#include "server/rpc/admission.h"

namespace lossd::http {

// What the API holds in memory, beside the call itself, which is reserved as
// all calls are: so much per byte of a body (its text, its numbers, its
// message) and of an answer's message (parsed, and as text).
inline constexpr int64_t kBytesPerBodyByte = 10;
inline constexpr int64_t kBytesPerAnswerByte = 16;

// How long a call may take: at most, and where its caller does not say.
inline constexpr std::chrono::seconds kLongestCall{30};

// A request as far as its headers tell it. Those that were not sent are empty.
struct ApiRequest {
  std::string path;
  std::string content_type;
  std::string content_encoding;
  std::string content_length;
  std::string timeout;  // as gRPC has it: "500m"
  std::string request_id;
  std::string traceparent;
};

struct ApiResponse {
  int status = 200;
  std::string json;
  std::map<std::string, std::string> headers{};
};

// `status` as the API answers it; with `http_status`, where that is not 0, in
// place of its own.
ApiResponse ErrorResponse(const absl::Status& status, int http_status = 0);

// Answers requests by calls of the server in this process. Any thread.
class Api {
 public:
  // Reads the body, of so many bytes; false: it did not come whole.
  using ReadBody = std::function<bool(std::string& body)>;

  // `admission` outlives it. At most `max_calls` are answered at a time, others
  // told to come again. A body is at most `max_body_bytes`, less where the
  // memory budget has no room for that.
  Api(const std::shared_ptr<grpc::Channel>& channel, rpc::Admission& admission,
      int64_t max_body_bytes, int max_calls);

  // Whether `path` is a method's, and whether that is called by POST.
  static bool HasPath(const std::string& path);
  static bool IsPost(const std::string& path);

  // Answers a request whose path is a method's. Reads the body only where the
  // headers are as they should be and there is memory for it. `is_given_up`:
  // whether the caller is gone.
  ApiResponse Answer(const ApiRequest& request, const ReadBody& read_body,
                     const std::function<bool()>& is_given_up);

  int64_t max_body_bytes() const { return max_body_bytes_; }

 private:
  struct Method;
  class MemoryShare;
  static const Method* MethodOf(const std::string& path);

  absl::Status CheckHeaders(const ApiRequest& request, int64_t& body_bytes,
                            int& http_status) const;
  ApiResponse Call(const Method& method, const ApiRequest& request,
                   std::string body, MemoryShare& memory,
                   const std::function<bool()>& is_given_up);

  InProcessCaller caller_;
  rpc::Admission& admission_;
  const int64_t max_body_bytes_;
  const int max_calls_;
  std::atomic<int> calls_{0};
};

}  // namespace lossd::http

#endif  // LOSSD_SERVER_HTTP_API_H_
