// How gRPC moves bytes for this server.
#ifndef LOSSD_SERVER_RPC_TRANSPORT_H_
#define LOSSD_SERVER_RPC_TRANSPORT_H_

#include <grpcpp/server_builder.h>

#include <cstdint>

namespace lossd::rpc {

// Sets what decides how fast messages come and go, and how much of them waits
// in memory, malloc's settings (memory.h) included, and lets the process open
// as many files as it may. bench_rpc sets the same for the echo that it
// compares with.
void ConfigureTransport(grpc::ServerBuilder& builder);

// Makes gRPC reset streams rather than receive more than fits into a memory
// budget of so many bytes, and keeps less memory that is free for the moment:
// what is left to do where callers send more than Admission let them.
void BoundTransport(int64_t memory_budget_bytes, grpc::ServerBuilder& builder);

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_TRANSPORT_H_
