#include "server/http/http_server.h"

#include <fmt/format.h>
#include <httplib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include "server/http/address.h"
#include "server/http/api.h"
#include "server/http/same_origin.h"
#include "server/http/site.h"
#include "server/http/slow_clients.h"
#include "server/rpc/errors.h"
#include "server/rpc/event_log.h"
#include "server/rpc/listen.h"
#include "server/rpc/metrics.h"

namespace lossd::http {
namespace {

using httplib::Request;
using httplib::Response;

constexpr char kPlainText[] = "text/plain";
constexpr char kJson[] = "application/json";
constexpr char kGet[] = "GET, HEAD";
constexpr char kPost[] = "POST";

constexpr int kMethodNotAllowed = 405;
constexpr int kHeadersTooLarge = 431;
constexpr int kInternal = 500;
constexpr int kUnavailable = 503;

// The connection that this thread answers: the library's handlers do not get
// it.
thread_local BoundedStream* connection = nullptr;

// httplib's server, whose connections are bounded.
class BoundedServer : public httplib::Server {
 public:
  explicit BoundedServer(const Limits& limits) : limits_(limits) {
    set_payload_max_length(limits.body_bytes);
    new_task_queue = [limits] {
      return new BoundedThreads(limits.threads, limits.connections);
    };
    // A taken port is an error; the library's default would share it.
    set_socket_options([](socket_t socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    });
  }

  // One that never ran has its port still.
  ~BoundedServer() override {
    if (svr_sock_ != INVALID_SOCKET) close(svr_sock_);
  }

 private:
  bool process_and_close_socket(socket_t socket) override {
    BoundedStream stream(socket, limits_.patience, limits_.header_bytes);
    connection = &stream;
    bool is_closed = false;
    const bool answered =
        process_request(stream, /*close_connection=*/true, is_closed, nullptr);
    connection = nullptr;
    stream.Linger();
    close(socket);
    return answered;
  }

  const Limits limits_;
};

std::string ReasonOf(int error) {
  if (error == 0) return "no such address";
  std::string reason = std::strerror(error);
  reason[0] = static_cast<char>(std::tolower(reason[0]));
  return reason;
}

void Send(ApiResponse answer, Response& response) {
  connection->Renew(static_cast<int64_t>(answer.json.size()));
  response.status = answer.status;
  for (const auto& [name, value] : answer.headers) {
    response.set_header(name, value);
  }
  response.set_header("Content-Type", kJson);
  response.set_header("Cache-Control", "no-store");
  response.set_header("X-Content-Type-Options", "nosniff");
  response.body = std::move(answer.json);
}

void SendError(const absl::Status& status, int http_status,
               Response& response) {
  Send(ErrorResponse(status, http_status), response);
}

ApiRequest ToApiRequest(const Request& request) {
  return {.path = request.path,
          .content_type = request.get_header_value("Content-Type"),
          .content_encoding = request.get_header_value("Content-Encoding"),
          .content_length = request.has_header("Transfer-Encoding")
                                ? ""
                                : request.get_header_value("Content-Length"),
          .timeout = request.get_header_value("Grpc-Timeout"),
          .request_id = request.get_header_value("X-Request-Id"),
          .traceparent = request.get_header_value("Traceparent")};
}

absl::Status NotFound(const std::string& path) {
  return rpc::Refused(absl::StatusCode::kNotFound, "NO_SUCH_PATH",
                      fmt::format("{}: no such path", path), {{"path", path}});
}

absl::Status NoSuchMethod(const Request& request, std::string_view allowed) {
  return rpc::Refused(
      absl::StatusCode::kUnimplemented, "METHOD_NOT_ALLOWED",
      fmt::format("{} {}, want {}", request.method, request.path, allowed),
      {{"method", request.method}, {"allowed", std::string(allowed)}});
}

// What the library has refused by itself, before any path was looked at.
absl::Status Malformed(int http_status) {
  if (http_status == kHeadersTooLarge) {
    return rpc::Refused(absl::StatusCode::kInvalidArgument, "HEADERS_TOO_LARGE",
                        "the request's headers are too large", {});
  }
  if (http_status >= kInternal) {
    return rpc::Refused(absl::StatusCode::kInternal, "INTERNAL",
                        "the server failed", {});
  }
  return rpc::Refused(absl::StatusCode::kInvalidArgument, "MALFORMED_REQUEST",
                      "this is no request of HTTP/1.1, or one with a header "
                      "of more than 8 KiB",
                      {});
}

}  // namespace

class HttpServer::Impl {
 public:
  explicit Impl(const Limits& limits) : limits_(limits), server_(limits) {}

  ~Impl() {
    if (!thread_.joinable()) return;
    server_.stop();
    thread_.join();
  }

  absl::Status Listen(const std::string& text) {
    const absl::StatusOr<Address> wanted = ParseAddress(text);
    if (!wanted.ok()) return wanted.status();
    errno = 0;
    int port = wanted->port;
    if (port == 0) {
      port = server_.bind_to_any_port(wanted->host);
    } else if (!server_.bind_to_port(wanted->host, port)) {
      port = -1;
    }
    if (port < 0) return rpc::ListenError(text, ReasonOf(errno));
    address_ = rpc::BoundAddress(text, port);
    return absl::OkStatus();
  }

  void Serve(Pages pages) {
    pages_ = std::move(pages);
    if (pages_.channel != nullptr) {
      api_.emplace(pages_.channel, *pages_.admission, limits_.body_bytes,
                   limits_.threads - 1);
    }
    // All but bodies: those the library reads for Post alone.
    server_.set_pre_routing_handler(
        [this](const auto& request, auto& response) {
          return Route(request, response)
                     ? BoundedServer::HandlerResponse::Handled
                     : BoundedServer::HandlerResponse::Unhandled;
        });
    server_.Post(".*", [this](const Request& request, Response& response,
                              const httplib::ContentReader& reader) {
      Answer(request, response, [&](std::string& body) {
        connection->AwaitBody(static_cast<int64_t>(body.capacity()));
        return reader([&](const char* bytes, size_t size) {
          body.append(bytes, size);
          return true;
        });
      });
    });
    server_.set_error_handler([](const Request&, Response& response) {
      if (!response.body.empty()) return;
      const int status =
          connection->has_too_many_bytes() ? kHeadersTooLarge : response.status;
      SendError(Malformed(status), status, response);
    });
    server_.set_exception_handler(
        [](const Request&, Response& response, const std::exception_ptr&) {
          SendError(Malformed(kInternal), kInternal, response);
        });
    rpc::LogEvent("http_listen", {{"address", address_}});
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    // Before it runs the library would not hear that it is to stop.
    while (!server_.is_running()) std::this_thread::yield();
  }

  const std::string& address() const { return address_; }

 private:
  // Answers `request`, unless its body has to be read first.
  bool Route(const Request& request, Response& response) {
    const bool is_api = api_ && Api::HasPath(request.path);
    const Asset* asset = AssetAt(request.path);
    const bool is_page = request.path == "/metrics" ||
                         request.path == "/healthz" ||
                         request.path == "/readyz";
    if (!is_api && !is_page && asset == nullptr) {
      SendError(NotFound(request.path), 0, response);
      return true;
    }
    const bool is_post = is_api && Api::IsPost(request.path);
    const bool is_get = request.method == "GET" || request.method == "HEAD";
    if (is_post ? request.method != kPost : !is_get) {
      const char* const allowed = is_post ? kPost : kGet;
      response.set_header("Allow", allowed);
      SendError(NoSuchMethod(request, allowed), kMethodNotAllowed, response);
      return true;
    }
    if (is_api) {
      const absl::Status same_origin = CheckSameOrigin(
          request.get_header_value("Host"), request.get_header_value("Origin"),
          rpc::IsLocalAddress(address_));
      if (!same_origin.ok()) {
        SendError(same_origin, 0, response);
        return true;
      }
      if (is_post) return false;
      Answer(request, response, [](std::string&) { return true; });
    } else if (is_page) {
      ServePage(request.path, response);
    } else {
      ServeAsset(*asset, request, response);
    }
    return true;
  }

  void Answer(const Request& request, Response& response,
              const Api::ReadBody& read_body) {
    Send(api_->Answer(ToApiRequest(request), read_body,
                      [] { return connection->is_peer_gone(); }),
         response);
  }

  void ServePage(const std::string& path, Response& response) const {
    if (path == "/metrics") {
      response.set_content(pages_.metrics(), rpc::Metrics::kContentType);
      return;
    }
    const bool is_well = path == "/healthz" || pages_.is_ready();
    if (!is_well) response.status = kUnavailable;
    response.set_content(is_well ? "ok\n" : "not serving\n", kPlainText);
  }

  const Limits limits_;
  BoundedServer server_;
  std::string address_;
  Pages pages_;
  std::optional<Api> api_;
  std::thread thread_;
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() = default;

const std::string& HttpServer::address() const { return impl_->address(); }

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Listen(
    const std::string& address, const Limits& limits) {
  auto impl = std::make_unique<Impl>(limits);
  const absl::Status status = impl->Listen(address);
  if (!status.ok()) return status;
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

void HttpServer::Serve(Pages pages) { impl_->Serve(std::move(pages)); }

}  // namespace lossd::http
