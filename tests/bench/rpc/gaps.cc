#include "tests/bench/rpc/gaps.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "client/lossd/channel.h"
#include "tests/bench/rpc/servers.h"
#include "tests/bench/support/bidi_echo.h"
#include "tests/bench/support/raw_caller.h"

namespace lossd::bench {
namespace {

constexpr GapPlan kGaps[] = {
    {0, 1, 3000, true},  {0.01, 1, 300, true}, {0.1, 2, 120, false},
    {0.5, 8, 30, false}, {1, 16, 16, false},   {1.1, 16, 16, false},
    {2, 16, 14, false},  {3, 16, 13, false},
};

// Calls that open connections and touch code paths; not counted.
constexpr int kWarmUpCalls = 20;

Caller MakeCaller(const std::string& address, const grpc::ByteBuffer& request) {
  auto caller =
      std::make_shared<RawCaller>(MakeChannel({.target = address}), kEchoPath);
  return [caller, request] {
    const grpc::Status status = caller->Call(request).status;
    if (status.ok()) return;
    std::fprintf(stderr, "bench_rpc: %s\n", status.error_message().c_str());
    std::exit(1);
  };
}

}  // namespace

absl::StatusOr<std::vector<GapResult>> MeasureGaps(
    const Flags& flags, const std::string& transport) {
  const grpc::ByteBuffer request =
      ToMessage(DrawRequest(kGapPayload).SerializeAsString());
  int most_servers = 0;
  for (const GapPlan& plan : kGaps) {
    most_servers = std::max(most_servers, plan.servers);
  }
  SocketFolder folder;
  std::vector<std::unique_ptr<ServerProcess>> servers;
  std::vector<std::vector<Caller>> kinds(2);
  for (int i = 0; i < most_servers; ++i) {
    auto service = StartService(flags, {transport}, folder);
    if (!service.ok()) return service.status();
    auto echo = StartEcho({transport}, folder);
    if (!echo.ok()) return echo.status();
    servers.push_back(*std::move(service));
    kinds[0].push_back(MakeCaller(servers.back()->addresses()[0], request));
    servers.push_back(*std::move(echo));
    kinds[1].push_back(MakeCaller(servers.back()->addresses()[0], request));
  }
  for (const auto& callers : kinds) {
    for (const Caller& call : callers) {
      for (int c = 0; c < kWarmUpCalls; ++c) call();
    }
  }
  std::vector<GapResult> results;
  for (const GapPlan& plan : kGaps) {
    const std::vector<GapLatency> latencies = MeasureGap(plan, kinds);
    results.push_back({transport, latencies[0], latencies[1]});
  }
  return results;
}

}  // namespace lossd::bench
