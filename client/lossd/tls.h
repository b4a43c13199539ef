// How a client and its server trust each other.
#ifndef LOSSD_CLIENT_LOSSD_TLS_H_
#define LOSSD_CLIENT_LOSSD_TLS_H_

#include <grpcpp/security/credentials.h>

#include <memory>

#include "absl/status/statusor.h"
#include "client/lossd/options.h"

namespace lossd {

// Plaintext, or TLS with the files that `options` name.
// Errors: InvalidArgument: a file that cannot be read or does not hold what it
//   should; a certificate without its key, or the other way round.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(
    const ClientOptions& options);

}  // namespace lossd

#endif  // LOSSD_CLIENT_LOSSD_TLS_H_
