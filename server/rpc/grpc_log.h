// gRPC's own log: kept quiet, and listened to where it is the only source of a
// reason.
#ifndef LOSSD_SERVER_RPC_GRPC_LOG_H_
#define LOSSD_SERVER_RPC_GRPC_LOG_H_

#include <string>

namespace lossd::rpc {

// While it lives, collects what gRPC logs on this thread; one at a time. The
// first one of the process silences gRPC's log for good, but for errors that
// are not collected, unless GRPC_VERBOSITY is set in the environment.
class GrpcLogCapture {
 public:
  GrpcLogCapture();
  ~GrpcLogCapture();

  GrpcLogCapture(const GrpcLogCapture&) = delete;
  GrpcLogCapture& operator=(const GrpcLogCapture&) = delete;

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_GRPC_LOG_H_
