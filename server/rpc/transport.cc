#include "server/rpc/transport.h"

#include <grpc/grpc.h>

#include "server/rpc/memory.h"

namespace lossd::rpc {
namespace {

// A bound on calls per connection, far above what keeps the compute threads
// busy.
constexpr int kMaxConcurrentStreams = 1000;

}  // namespace

void ConfigureTransport(grpc::ServerBuilder& builder) {
  KeepFreeMemory();
  // Call::OnRead holds messages against max_request_bytes, so that every
  // refusal says the limit and carries details. gRPC's own limit would save no
  // memory: it, too, is looked at once the whole message is there.
  builder.SetMaxReceiveMessageSize(-1);
  builder.SetMaxSendMessageSize(-1);
  // Two servers on one port would share its callers without a word.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             kMaxConcurrentStreams);
  // The probe widens every call's flow control window to several MiB, read or
  // not: of 64 messages of 64 MiB that nobody reads it lets in over 1 GiB
  // instead of 5 MiB. A message that is read gets all the window it needs
  // without it. docs/adr/0001-server-model.md has the figures.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  // Logits hardly compress, and a small compressed message may hold a huge one.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
}

}  // namespace lossd::rpc
