// What gRPC's libraries add to a server.
#ifndef LOSSD_SERVER_RPC_PLUGINS_H_
#define LOSSD_SERVER_RPC_PLUGINS_H_

#include <grpcpp/server_builder.h>

#include <memory>

namespace lossd::rpc {

// A builder for a server with reflection and channelz, or without. Both
// libraries add themselves to builders made after they were first heard of,
// wanted or not.
std::unique_ptr<grpc::ServerBuilder> MakeServerBuilder(bool reflection,
                                                       bool channelz);

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_PLUGINS_H_
