// The channel under a client.
#ifndef LOSSD_CLIENT_LOSSD_CHANNEL_H_
#define LOSSD_CLIENT_LOSSD_CHANNEL_H_

#include <grpcpp/channel.h>

#include <memory>

#include "client/lossd/options.h"

namespace lossd {

// A channel to the target of `options`, with the settings of every client's;
// touches no network yet. bench_rpc takes the same for the echo it compares
// with.
std::shared_ptr<grpc::Channel> MakeChannel(const ClientOptions& options);

}  // namespace lossd

#endif  // LOSSD_CLIENT_LOSSD_CHANNEL_H_
