// HTTP beside gRPC, for those who watch the server and those who have no gRPC.
#ifndef LOSSD_SERVER_HTTP_HTTP_SERVER_H_
#define LOSSD_SERVER_HTTP_HTTP_SERVER_H_

#include <grpcpp/channel.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/rpc/admission.h"

namespace lossd::http {

// What is served.
struct Pages {
  // GET /metrics: Prometheus's text format.
  std::function<std::string()> metrics;
  // GET /readyz: 200 while it says true, 503 otherwise.
  std::function<bool()> is_ready;
  // The server whose methods POST /v1/... and GET /v1/... call, and whose
  // memory they take; null: none.
  std::shared_ptr<grpc::Channel> channel = nullptr;
  rpc::Admission* admission = nullptr;
};

// Bounds on clients: whatever they do, they keep nothing but each other.
struct Limits {
  // Connections that are answered at the same time, 2 and more, and those that
  // are taken on; one more is accepted and held, the rest wait in the kernel.
  // Calls of /v1/ take all threads but one.
  int threads = 4;
  int connections = 16;
  // How long a request's headers, its body and its answer may take each; large
  // ones a second more per 256 KiB.
  std::chrono::milliseconds patience{5'000};
  // The largest headers, and the largest body.
  int64_t header_bytes = 64 << 10;
  int64_t body_bytes = 4 << 20;
};

// An HTTP/1.1 server without keep-alive: /metrics, /healthz (200 while the
// process lives), /readyz, the playground at /, and lossd's methods under /v1/.
// Anything else is refused with a google.rpc.Status in JSON.
class HttpServer {
 public:
  // Returns a server that has its port: connections wait until it serves.
  //
  // Errors: InvalidArgument: `address` is none for HTTP (ParseAddress).
  //   FailedPrecondition: it cannot be listened on, "cannot listen on
  //   127.0.0.1:8080: address already in use".
  static absl::StatusOr<std::unique_ptr<HttpServer>> Listen(
      const std::string& address, const Limits& limits = {});

  // Waits for requests that are being answered.
  ~HttpServer();

  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // HOST:PORT, with the port that was bound.
  const std::string& address() const;

  // Serves `pages` from now on, on threads of its own. Call once.
  void Serve(Pages pages);

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);

  const std::unique_ptr<Impl> impl_;
};

}  // namespace lossd::http

#endif  // LOSSD_SERVER_HTTP_HTTP_SERVER_H_
