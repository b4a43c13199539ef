#include "server/http/api.h"

#include <fmt/format.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "lossd/v1/loss_service.pb.h"
#include "server/http/request_json.h"
#include "server/http/timeout.h"
#include "server/rpc/errors.h"
#include "server/rpc/failure_log.h"
#include "server/rpc/status.h"

namespace lossd::http {
namespace {

namespace pb = google::protobuf;

using Clock = std::chrono::system_clock;
using Traits = grpc::SerializationTraits<pb::Message>;

constexpr int kRequestTimeout = 408;
constexpr int kLengthRequired = 411;
constexpr int kUnsupportedMediaType = 415;

absl::Status TooManyCalls(int max_calls) {
  return rpc::Refused(
      absl::StatusCode::kUnavailable, "TOO_MANY_HTTP_CALLS",
      fmt::format("{} calls are being answered over HTTP, no more at a time; "
                  "try again",
                  max_calls),
      {{"max_calls", std::to_string(max_calls)},
       {std::string(rpc::kRetryDelayKey), "200"}});
}

absl::Status BodyTooLarge(int64_t bytes, int64_t max_bytes) {
  return rpc::Refused(
      absl::StatusCode::kResourceExhausted, "REQUEST_TOO_LARGE",
      fmt::format("body of {} bytes, over HTTP this server takes at most {}; "
                  "send it by gRPC",
                  bytes, max_bytes),
      {{"body_bytes", std::to_string(bytes)},
       {"max_body_bytes", std::to_string(max_bytes)}});
}

absl::Status BadHeader(std::string_view name, std::string_view value,
                       std::string_view want) {
  return rpc::Refused(absl::StatusCode::kInvalidArgument, "BAD_HEADER",
                      fmt::format("{}: {}, want {}", name,
                                  value.empty() ? "missing" : value, want),
                      {{"header", std::string(name)},
                       {"value", std::string(value)},
                       {"want", std::string(want)}});
}

bool IsJson(std::string_view content_type) {
  const std::string_view type = content_type.substr(0, content_type.find(';'));
  const absl::string_view stripped =
      absl::StripAsciiWhitespace({type.data(), type.size()});
  return absl::EqualsIgnoreCase(stripped, "application/json");
}

CallTerms TermsOf(const ApiRequest& request, Clock::time_point deadline,
                  const grpc::ByteBuffer& message,
                  const std::function<bool()>& is_given_up) {
  CallTerms terms{deadline, {}, is_given_up};
  terms.metadata.emplace_back("lossd-request-bytes",
                              std::to_string(message.Length()));
  if (rpc::IsRequestId(request.request_id)) {
    terms.metadata.emplace_back("x-request-id", request.request_id);
  }
  if (rpc::IsTraceparent(request.traceparent)) {
    terms.metadata.emplace_back("traceparent", request.traceparent);
  }
  return terms;
}

ApiResponse ToResponse(HttpError error) {
  ApiResponse response{error.status, std::move(error.json)};
  if (error.retry_after_seconds) {
    response.headers["Retry-After"] =
        std::to_string(*error.retry_after_seconds);
  }
  return response;
}

}  // namespace

// A method of the service, and its messages.
struct Api::Method {
  std::string_view http_path;
  const char* grpc_path;
  const pb::Message& request;
  const pb::Message& response;
  bool is_post;
};

const Api::Method* Api::MethodOf(const std::string& path) {
  static const Method kMethods[] = {
      {"/v1/loss:compute", "/lossd.v1.LossService/ComputeLoss",
       v1::ComputeLossRequest::default_instance(),
       v1::ComputeLossResponse::default_instance(), true},
      {"/v1/loss:hessianVectorProduct",
       "/lossd.v1.LossService/ComputeHessianVectorProduct",
       v1::ComputeHessianVectorProductRequest::default_instance(),
       v1::ComputeHessianVectorProductResponse::default_instance(), true},
      {"/v1/serverInfo", "/lossd.v1.LossService/GetServerInfo",
       v1::GetServerInfoRequest::default_instance(),
       v1::GetServerInfoResponse::default_instance(), false},
  };
  const auto* const found =
      std::find_if(std::begin(kMethods), std::end(kMethods),
                   [&](const Method& m) { return m.http_path == path; });
  return found == std::end(kMethods) ? nullptr : found;
}

// What the API has reserved of the memory budget for one request.
class Api::MemoryShare {
 public:
  explicit MemoryShare(rpc::Admission& admission) : admission_(admission) {}
  ~MemoryShare() {
    if (bytes_ > 0) admission_.Leave(bytes_);
  }
  MemoryShare(const MemoryShare&) = delete;
  MemoryShare& operator=(const MemoryShare&) = delete;

  // Makes it `bytes`, where it is less.
  // Errors: Unavailable: there is no room.
  absl::Status Grow(int64_t bytes) {
    if (admission_.budget_bytes() == 0 || bytes <= bytes_) {
      return absl::OkStatus();
    }
    const bool has_room = bytes_ == 0 ? admission_.TryEnter(bytes)
                                      : admission_.Resize(bytes_, bytes);
    if (!has_room) return rpc::Overloaded(bytes, admission_.budget_bytes());
    bytes_ = bytes;
    return absl::OkStatus();
  }

 private:
  rpc::Admission& admission_;
  int64_t bytes_ = 0;
};

ApiResponse ErrorResponse(const absl::Status& status, int http_status) {
  ApiResponse response =
      ToResponse(ToHttpError(rpc::ToWireStatus(status).status));
  if (http_status != 0) response.status = http_status;
  return response;
}

Api::Api(const std::shared_ptr<grpc::Channel>& channel,
         rpc::Admission& admission, int64_t max_body_bytes, int max_calls)
    : caller_(channel),
      admission_(admission),
      // Half of the budget's largest call, the call itself taking the rest.
      max_body_bytes_(
          admission.budget_bytes() == 0
              ? max_body_bytes
              : std::min(max_body_bytes, admission.largest_call_bytes() / 2 /
                                             kBytesPerBodyByte)),
      max_calls_(max_calls) {}

bool Api::HasPath(const std::string& path) { return MethodOf(path) != nullptr; }

bool Api::IsPost(const std::string& path) { return MethodOf(path)->is_post; }

absl::Status Api::CheckHeaders(const ApiRequest& request, int64_t& body_bytes,
                               int& http_status) const {
  if (!IsJson(request.content_type)) {
    http_status = kUnsupportedMediaType;
    return BadHeader("Content-Type", request.content_type, "application/json");
  }
  if (!request.content_encoding.empty()) {
    http_status = kUnsupportedMediaType;
    return BadHeader("Content-Encoding", request.content_encoding, "none");
  }
  if (request.content_length.empty()) {
    http_status = kLengthRequired;
    return BadHeader("Content-Length", "", "the body's bytes");
  }
  if (!std::all_of(request.content_length.begin(), request.content_length.end(),
                   absl::ascii_isdigit)) {
    return BadHeader("Content-Length", request.content_length,
                     "a number of bytes");
  }
  if (!absl::SimpleAtoi(request.content_length, &body_bytes)) {
    body_bytes = INT64_MAX;
  }
  return body_bytes > max_body_bytes_
             ? BodyTooLarge(body_bytes, max_body_bytes_)
             : absl::OkStatus();
}

ApiResponse Api::Answer(const ApiRequest& request, const ReadBody& read_body,
                        const std::function<bool()>& is_given_up) {
  const Method& method = *MethodOf(request.path);
  int64_t body_bytes = 0;
  int http_status = 0;
  absl::Status status;
  if (method.is_post) {
    status = CheckHeaders(request, body_bytes, http_status);
  }
  if (!status.ok()) return ErrorResponse(status, http_status);
  struct Slot {
    std::atomic<int>& calls;
    const int taken = calls.fetch_add(1) + 1;
    ~Slot() { calls.fetch_sub(1); }
  } const slot{calls_};
  if (slot.taken > max_calls_) return ErrorResponse(TooManyCalls(max_calls_));
  MemoryShare memory(admission_);
  status = memory.Grow(kBytesPerBodyByte * body_bytes);
  if (!status.ok()) return ErrorResponse(status);
  try {
    std::string body;
    body.reserve(body_bytes);
    if (method.is_post && !read_body(body)) {
      return ErrorResponse(
          rpc::Refused(absl::StatusCode::kDeadlineExceeded, "BODY_INCOMPLETE",
                       fmt::format("{} of the body's {} bytes came in time",
                                   body.size(), body_bytes),
                       {}),
          kRequestTimeout);
    }
    return Call(method, request, std::move(body), memory, is_given_up);
  } catch (const std::bad_alloc&) {
    return ErrorResponse(rpc::OutOfMemory(body_bytes));
  }
}

ApiResponse Api::Call(const Method& method, const ApiRequest& request,
                      std::string body, MemoryShare& memory,
                      const std::function<bool()>& is_given_up) {
  const auto timeout = ParseTimeout(request.timeout);
  if (!timeout.ok()) return ErrorResponse(timeout.status());
  const Clock::time_point deadline =
      Clock::now() + std::min<std::chrono::nanoseconds>(*timeout, kLongestCall);
  TensorStyle style = TensorStyle::kRaw;
  grpc::ByteBuffer message;
  {
    const std::unique_ptr<pb::Message> proto(method.request.New());
    if (method.is_post) {
      const auto read = ReadRequest(body, *proto);
      if (!read.ok()) return ErrorResponse(read.status());
      style = *read;
      body = std::string();  // its memory is the message's
    }
    bool is_own = false;
    Traits::Serialize(*proto, &message, &is_own);
  }
  // gRPC rounds deadlines up.
  if (Clock::now() >= deadline) return ErrorResponse(rpc::DeadlinePassed());
  CallResult result =
      caller_.Call(method.grpc_path, message,
                   TermsOf(request, deadline, message, is_given_up));
  message.Clear();
  if (result.status.ok()) {
    const absl::Status has_room = memory.Grow(
        kBytesPerAnswerByte * static_cast<int64_t>(result.response.Length()));
    if (!has_room.ok()) return ErrorResponse(has_room);
    const std::unique_ptr<pb::Message> proto(method.response.New());
    result.status = ParseAnswer(result.response, *proto);
    if (result.status.ok()) return {200, WriteResponse(*proto, style)};
  }
  ApiResponse response = ToResponse(ToHttpError(result.status));
  if (!result.request_id.empty()) {
    response.headers["X-Request-Id"] = result.request_id;
  }
  return response;
}

}  // namespace lossd::http
