#include "tests/bench/rpc/stream.h"

#include <algorithm>
#include <chrono>

#include "client/lossd/channel.h"
#include "tests/bench/rpc/servers.h"
#include "tests/bench/support/bidi_echo.h"
#include "tests/bench/support/stream_caller.h"

namespace lossd::bench {
namespace {

// About 1 MiB, as the client library sends it.
constexpr Payload kChunk = {5, kStreamEchoPayload.classes};
constexpr int64_t kChunkBytes =
    kChunk.rows * kChunk.classes * static_cast<int64_t>(sizeof(float));

}  // namespace

absl::StatusOr<StreamResult> MeasureStream(const Flags& flags,
                                           const std::string& transport) {
  SocketFolder folder;
  const auto service = StartService(flags, {transport}, folder);
  if (!service.ok()) return service.status();
  const auto echo_server = StartEcho({transport}, folder);
  if (!echo_server.ok()) return echo_server.status();
  const int64_t chunks =
      std::max<int64_t>(1, (flags.stream_mib << 20) / kChunkBytes);
  StreamResult result;
  result.transport = transport;
  result.rows = kChunk.rows * chunks;
  result.idle_mib = (*service)->ResidentMib();

  Subject echo("the echo",
               MakeChannel({.target = (*echo_server)->addresses()[0]}),
               kEchoPath, DrawRequest(kStreamEchoPayload).SerializeAsString());
  const auto answer = echo.Look();
  absl::Status status = answer.ok() ? WarmUp({&echo}) : answer.status();
  if (status.ok()) status = Slice({&echo}, flags.seconds);
  if (!status.ok()) return status;
  const auto channel = MakeChannel({.target = (*service)->addresses()[0]});
  // One chunk opens the connection.
  auto traffic = CallStream(channel, kChunk, 1);
  if (!traffic.ok()) return traffic.status();
  const auto begin = std::chrono::steady_clock::now();
  traffic = CallStream(channel, kChunk, chunks);
  if (!traffic.ok()) return traffic.status();
  result.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
          .count();
  result.bytes = traffic->bytes_sent + traffic->bytes_received;
  result.peak_mib = (*service)->PeakResidentMib();
  status = Slice({&echo}, flags.seconds);
  if (!status.ok()) return status;
  result.echo_bytes = static_cast<int64_t>(echo.bytes());
  result.echo = echo.latency();
  return result;
}

}  // namespace lossd::bench
