// Addresses to listen on.
#ifndef LOSSD_SERVER_RPC_LISTEN_H_
#define LOSSD_SERVER_RPC_LISTEN_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace lossd::rpc {

// Fails unless `address` is HOST:PORT ([HOST]:PORT for an IPv6 address) with a
// port of 0 to 65535, or unix:PATH with a path of 1 to 107 bytes.
absl::Status CheckListenAddress(std::string_view address);

// Whether `address` is unix:PATH.
bool IsUnix(std::string_view address);

// Whether only this machine reaches `address`: a unix socket, localhost, or a
// number of the loopback network. Any other name may lead anywhere.
bool IsLocalAddress(std::string_view address);

// Fails when a server answers at the socket of unix:PATH already: gRPC would
// take the path away from it. A socket file that nobody listens on is no
// obstacle. Other addresses are fine.
absl::Status CheckNobodyListens(const std::string& address);

// `address` with `port`, the one that was bound, in place of its own.
std::string BoundAddress(const std::string& address, int port);

// The error of a failed listen: "cannot listen on ADDRESS: REASON".
absl::Status ListenError(const std::string& address, std::string_view reason);

// The same, as gRPC has it: "cannot listen on ADDRESS: REASON", the reason
// taken from what gRPC logged.
absl::Status CannotListen(const std::string& address,
                          const std::string& grpc_log);

// Whether gRPC found one of an address's ports taken, by what it logged. For a
// name with several addresses it is content with any of them.
bool SaysAddressInUse(const std::string& grpc_log);

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_LISTEN_H_
