// The channel under a client.
#ifndef LOSSD_CLIENT_LOSSD_CHANNEL_H_
#define LOSSD_CLIENT_LOSSD_CHANNEL_H_

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>

#include "client/lossd/options.h"

namespace lossd {

// The settings of every client's channel.
grpc::ChannelArguments ChannelSettings(const ClientOptions& options);

// A channel to the target of `options` with these settings; touches no network
// yet. bench_rpc takes the same for the echo it compares with.
std::shared_ptr<grpc::Channel> MakeChannel(
    const ClientOptions& options,
    const std::shared_ptr<grpc::ChannelCredentials>& credentials =
        grpc::InsecureChannelCredentials());

}  // namespace lossd

#endif  // LOSSD_CLIENT_LOSSD_CHANNEL_H_
