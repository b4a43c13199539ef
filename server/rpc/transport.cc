#include "server/rpc/transport.h"

#include <grpc/grpc.h>
#include <grpcpp/resource_quota.h>
#include <sys/resource.h>

#include <algorithm>

#include "server/rpc/memory.h"

namespace lossd::rpc {
namespace {

// A bound on calls per connection, far above what keeps the compute threads
// busy.
constexpr int kMaxConcurrentStreams = 1000;

// What gRPC has beside messages that admission knows of: windows of unread
// calls, what connections keep for their next bytes, and a message that was not
// expected to be so large. With 24 MiB, 40 callers of 4 MB each at a budget of
// 256 MiB had a stream or two a second reset.
constexpr size_t kTransportBytes = size_t{40} << 20;

// The part of the budget that is kept as free memory: a sixteenth.
constexpr size_t kKeptShare = 16;

// gRPC 1.51 accepts nobody any more once a connection came that no file
// descriptor was left for (CVE-2023-4785), and shells start programs with 1024.
void AllowMostOpenFiles() {
  rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

}  // namespace

void ConfigureTransport(grpc::ServerBuilder& builder) {
  AllowMostOpenFiles();
  KeepFreeMemory(kKeptBytes);
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

void BoundTransport(int64_t memory_budget_bytes, grpc::ServerBuilder& builder) {
  // Requests take half of the budget, mostly; their answers are not gRPC's.
  grpc::ResourceQuota quota("lossd");
  quota.Resize(memory_budget_bytes / 2 + kTransportBytes);
  builder.SetResourceQuota(quota);
  KeepFreeMemory(std::min(
      kKeptBytes, static_cast<size_t>(memory_budget_bytes) / kKeptShare));
}

}  // namespace lossd::rpc
