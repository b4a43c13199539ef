#include "server/rpc/grpc_log.h"

#include <grpc/support/log.h>

#include <cstdlib>
#include <mutex>
#include <string_view>

#include "server/rpc/event_log.h"

namespace lossd::rpc {
namespace {

thread_local std::string* capture = nullptr;

// Whether what this file of gRPC's logs is up to whoever connects: handshakes
// that fail, headers that are none. Logged, it would fill disks.
bool IsOfStrangers(std::string_view file) {
  return file.ends_with("/ssl_transport_security.cc") ||
         file.ends_with("/hpack_parser.cc");
}

void Log(gpr_log_func_args* args) {
  if (capture != nullptr) capture->append(args->message).append("\n");
  static const bool wanted = std::getenv("GRPC_VERBOSITY") != nullptr;
  // An error that nobody captures is none that we expect, the last words of an
  // assertion among them.
  const bool unexpected = capture == nullptr &&
                          args->severity == GPR_LOG_SEVERITY_ERROR &&
                          !IsOfStrangers(args->file);
  if (wanted || unexpected) {
    LogWarning("grpc", {{"severity", gpr_log_severity_string(args->severity)},
                        {"file", args->file},
                        {"line", args->line},
                        {"message", args->message}});
  }
}

}  // namespace

GrpcLogCapture::GrpcLogCapture() {
  static std::once_flag once;
  std::call_once(once, [] {
    gpr_set_log_function(Log);
    // Addresses that were left out of a listen are logged at INFO.
    if (std::getenv("GRPC_VERBOSITY") == nullptr) {
      gpr_set_log_verbosity(GPR_LOG_SEVERITY_INFO);
    }
  });
  capture = &text_;
}

GrpcLogCapture::~GrpcLogCapture() { capture = nullptr; }

}  // namespace lossd::rpc
