// A server in this process, called over HTTP and by gRPC.
#ifndef LOSSD_TESTS_HTTP_HTTP_CALLER_H_
#define LOSSD_TESTS_HTTP_HTTP_CALLER_H_

#include <gtest/gtest.h>
#include <httplib.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "server/http/http_server.h"
#include "tests/rpc/test_server.h"

namespace lossd::http {

inline constexpr char kCompute[] = "/v1/loss:compute";
inline constexpr char kHessian[] = "/v1/loss:hessianVectorProduct";
inline constexpr char kInfo[] = "/v1/serverInfo";

struct HttpAnswer {
  int status = -1;
  nlohmann::json body{};
  httplib::Headers headers{};

  std::string message() const { return body.value("message", ""); }
  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
  // Of its ErrorInfo.
  std::string reason() const {
    return body.contains("details") ? body["details"][0].value("reason", "")
                                    : "";
  }
  // Of its BadRequest.
  std::string field() const {
    return body.contains("details") && body["details"].size() > 1
               ? body["details"][1]["fieldViolations"][0].value("field", "")
               : "";
  }
};

// Both servers, on free ports of the loopback.
class HttpCaller {
 public:
  explicit HttpCaller(rpc::Options options = rpc::TestOptions(),
                      const Limits& limits = {})
      : grpc_(std::move(options)) {
    auto http = HttpServer::Listen("127.0.0.1:0", limits);
    EXPECT_TRUE(http.ok()) << http.status();
    http_ = *std::move(http);
    http_->Serve({.metrics = [] { return "metric 1\n"; },
                  .is_ready = [] { return true; },
                  .channel = grpc_.server().InProcessChannel(),
                  .admission = &grpc_.server().admission()});
  }

  rpc::TestServer& grpc() { return grpc_; }
  const std::string& address() const { return http_->address(); }

  HttpAnswer Post(const std::string& path, const std::string& body,
                  const httplib::Headers& headers = {},
                  const std::string& content_type = "application/json") {
    return ToAnswer(client().Post(path, headers, body, content_type));
  }
  HttpAnswer Compute(const std::string& body,
                     const httplib::Headers& headers = {}) {
    return Post(kCompute, body, headers);
  }
  HttpAnswer Get(const std::string& path,
                 const httplib::Headers& headers = {}) {
    return ToAnswer(client().Get(path, headers));
  }

  httplib::Client client() const {
    return httplib::Client("http://" + address());
  }
  static HttpAnswer ToAnswer(const httplib::Result& result) {
    if (!result) return {};
    return {result->status,
            nlohmann::json::parse(result->body, nullptr, /*exceptions=*/false),
            result->headers};
  }

 private:
  rpc::TestServer grpc_;
  std::unique_ptr<HttpServer> http_;
};

}  // namespace lossd::http

#endif  // LOSSD_TESTS_HTTP_HTTP_CALLER_H_
