#include "server/http/http_server.h"

#include <httplib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "server/http/address.h"
#include "server/http/site.h"
#include "server/http/slow_clients.h"
#include "server/rpc/event_log.h"
#include "server/rpc/listen.h"
#include "server/rpc/metrics.h"

namespace lossd::http {
namespace {

constexpr char kPlainText[] = "text/plain";
constexpr int kUnavailable = 503;

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
    BoundedStream stream(socket, limits_.patience, limits_.request_bytes);
    bool is_closed = false;
    const bool answered =
        process_request(stream, /*close_connection=*/true, is_closed, nullptr);
    shutdown(socket, SHUT_RDWR);
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

}  // namespace

class HttpServer::Impl {
 public:
  explicit Impl(const Limits& limits) : server_(limits) {}

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
    server_.Get("/metrics", [this](const auto&, auto& response) {
      response.set_content(pages_.metrics(), rpc::Metrics::kContentType);
    });
    server_.Get("/healthz", [](const auto&, auto& response) {
      response.set_content("ok\n", kPlainText);
    });
    server_.Get("/readyz", [this](const auto&, auto& response) {
      const bool is_ready = pages_.is_ready();
      if (!is_ready) response.status = kUnavailable;
      response.set_content(is_ready ? "ok\n" : "not serving\n", kPlainText);
    });
    AddSite(server_);
    rpc::LogEvent("http_listen", {{"address", address_}});
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    // Before it runs the library would not hear that it is to stop.
    while (!server_.is_running()) std::this_thread::yield();
  }

  const std::string& address() const { return address_; }

 private:
  BoundedServer server_;
  std::string address_;
  Pages pages_;
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
