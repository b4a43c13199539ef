#include "client/lossd/channel.h"

#include <grpcpp/create_channel.h>

#include <algorithm>

namespace lossd {
grpc::ChannelArguments ChannelSettings(const ClientOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // A target of several addresses: calls go to all that answer, in turn.
  arguments.SetLoadBalancingPolicyName("round_robin");
  // An http_proxy of the environment is for web pages: not even loopback
  // targets would be spared.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // A channel answers at once from its last failure until it tries to connect
  // again, one second later by default: our attempts would not reach a server
  // that is back.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(std::min(
                       options.retry.initial_backoff, absl::Seconds(1)))));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  if (options.tls.has_value() && !options.tls->server_name.empty()) {
    arguments.SetSslTargetNameOverride(options.tls->server_name);
  }
  return arguments;
}

std::shared_ptr<grpc::Channel> MakeChannel(
    const ClientOptions& options,
    const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  return grpc::CreateCustomChannel(options.target, credentials,
                                   ChannelSettings(options));
}

}  // namespace lossd
