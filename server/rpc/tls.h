// TLS of the server's ports.
#ifndef LOSSD_SERVER_RPC_TLS_H_
#define LOSSD_SERVER_RPC_TLS_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "absl/status/status.h"
#include "server/rpc/options.h"

namespace lossd::rpc {

// Whether the files can be served with: gRPC itself would listen all the same
// and fail every handshake.
// Errors: FailedPrecondition: the first file that cannot be read or does not
//   hold what it should; a key that is not the certificate's.
// REQUIRES: files.certificate and files.key are named.
absl::Status CheckTlsFiles(const TlsFiles& files);

// TLS 1.2 or 1.3 with these files. New contents are taken over every
// `files.reload`, for connections made from then on; contents that cannot be
// used fail handshakes until they are replaced.
// REQUIRES: CheckTlsFiles(files).ok()
std::shared_ptr<grpc::ServerCredentials> TlsCredentials(const TlsFiles& files);

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_TLS_H_
