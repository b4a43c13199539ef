// How gRPC moves bytes for this server.
#ifndef LOSSD_SERVER_RPC_TRANSPORT_H_
#define LOSSD_SERVER_RPC_TRANSPORT_H_

#include <grpcpp/server_builder.h>

namespace lossd::rpc {

// Sets what decides how fast messages come and go, and how much of them waits
// in memory, malloc's settings (memory.h) included. bench_rpc sets the same for
// the echo that it compares with.
void ConfigureTransport(grpc::ServerBuilder& builder);

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_TRANSPORT_H_
