// HTTP beside gRPC, for those who watch the server.
#ifndef LOSSD_SERVER_HTTP_HTTP_SERVER_H_
#define LOSSD_SERVER_HTTP_HTTP_SERVER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace lossd::http {

// What is served.
struct Pages {
  // GET /metrics: Prometheus's text format.
  std::function<std::string()> metrics;
  // GET /readyz: 200 while it says true, 503 otherwise.
  std::function<bool()> is_ready;
};

// Bounds on clients: whatever they do, they keep nothing but each other.
struct Limits {
  // Connections that are answered at the same time, and those that are taken
  // on; one more is accepted and held, the rest wait in the kernel.
  int threads = 4;
  int connections = 16;
  // How long a connection may take in all: one request, one answer.
  std::chrono::milliseconds patience{5'000};
  // The largest request, headers included, and the largest body.
  int64_t request_bytes = 64 << 10;
  int64_t body_bytes = 4 << 10;
};

// An HTTP/1.1 server without keep-alive: /metrics, /healthz (200 while the
// process lives) and /readyz; 404 for anything else.
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
