#include "tests/bench/server_model/measure.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "tests/bench/server_model/caller.h"
#include "tests/bench/support/idle.h"
#include "tests/bench/support/server_process.h"

namespace lossd::bench {
namespace {

constexpr GapPlan kGaps[] = {
    {0, 1, 3000, true},  {0.01, 1, 200, true},  {0.1, 2, 120, false},
    {0.5, 8, 30, false}, {1.05, 16, 16, false}, {2, 16, 15, false},
    {3, 16, 14, false},
};
constexpr int kRounds = 5;
constexpr std::chrono::milliseconds kRoundLength{400};

// Calls that open connections and touch code paths; not counted.
constexpr int kWarmUpCalls = 20;

}  // namespace

void MeasureIdle(std::vector<Result>& results) {
  int most_servers = 0;
  for (const GapPlan& plan : kGaps) {
    most_servers = std::max(most_servers, plan.servers);
  }
  std::vector<std::unique_ptr<ServerProcess>> servers;
  std::vector<std::vector<Caller>> models(results.size());
  for (size_t m = 0; m < results.size(); ++m) {
    const ModelConfig& config = results[m].config;
    for (int i = 0; i < most_servers; ++i) {
      servers.push_back(StartServer(config));
      models[m].push_back(
          MakeCaller(config.model, servers.back()->addresses().front()));
      for (int c = 0; c < kWarmUpCalls; ++c) models[m].back()();
    }
  }
  for (const GapPlan& plan : kGaps) {
    const std::vector<GapLatency> latencies = MeasureGap(plan, models);
    for (size_t m = 0; m < results.size(); ++m) {
      results[m].idle.push_back(latencies[m]);
    }
  }
}

void MeasureThroughput(std::vector<Result>& results) {
  for (const int outstanding : kOutstanding) {
    std::vector<std::vector<double>> rounds(results.size());
    for (int round = 0; round < kRounds; ++round) {
      for (size_t m = 0; m < results.size(); ++m) {
        if (results[m].config.model == Model::kSocket) continue;
        const auto server = StartServer(results[m].config);
        rounds[m].push_back(CallsPerSecond(server->addresses().front(),
                                           outstanding, kRoundLength));
      }
    }
    for (size_t m = 0; m < results.size(); ++m) {
      std::sort(rounds[m].begin(), rounds[m].end());
      results[m].calls_per_s.push_back(
          rounds[m].empty() ? 0 : rounds[m][rounds[m].size() / 2]);
    }
  }
}

void MeasureHolding(std::vector<Result>& results, int calls) {
  // list_services and an empty string: field 7 of the request.
  const std::string list_services("\x3a\0", 2);
  for (Result& result : results) {
    if (result.config.model == Model::kSocket) continue;
    ModelConfig config = result.config;
    config.hold = true;
    const auto server = StartServer(config);
    const std::string& address = server->addresses().front();
    const std::string services = AskReflection(address, list_services);
    result.listed = services.find("lossd.v1.LossService") != std::string::npos;
    if (config.model == Model::kLossd) continue;
    const double before = server->ResidentMib();
    CallMeanwhile(address, calls, kHeldBytes, [&] {
      // Loopback moves all of it in a fraction of this.
      std::this_thread::sleep_for(std::chrono::milliseconds(1500));
      result.held_mib = server->ResidentMib() - before;
      if (!server->Send("g").ok()) std::exit(1);
    });
  }
}

}  // namespace lossd::bench
