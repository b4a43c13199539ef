#include "tests/bench/server_model/measure.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "tests/bench/server_model/caller.h"
#include "tests/bench/server_model/server_process.h"

namespace lossd::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

// How one gap is measured: `servers` of each model in parallel, `calls` on
// each. Models take turns where the gap is so short that they would share the
// cores.
struct GapPlan {
  double seconds;
  int servers;
  int calls;
  bool in_turn;
};
constexpr GapPlan kGaps[] = {
    {0, 1, 3000, true},  {0.01, 1, 200, true},  {0.1, 2, 120, false},
    {0.5, 8, 30, false}, {1.05, 16, 16, false}, {2, 16, 15, false},
    {3, 16, 14, false},
};
constexpr int kRounds = 5;
constexpr std::chrono::milliseconds kRoundLength{400};

// Calls that open connections and touch code paths; not counted.
constexpr int kWarmUpCalls = 20;

// One server, its client and the latencies seen, for all gaps.
struct Pair {
  explicit Pair(const ModelConfig& config)
      : server(config), call(MakeCaller(config.model, server.port())) {
    for (int i = 0; i < kWarmUpCalls; ++i) call();
  }

  void Run(const GapPlan& plan, unsigned seed) {
    std::minstd_rand random(seed);
    std::uniform_real_distribution<double> jitter(0.9, 1.1);
    latencies_ms.clear();
    for (int i = 0; i < plan.calls; ++i) {
      if (plan.seconds > 0) {
        std::this_thread::sleep_for(
            std::chrono::duration<double>(plan.seconds * jitter(random)));
      }
      const Clock::time_point begin = Clock::now();
      call();
      latencies_ms.push_back(Milliseconds(Clock::now() - begin).count());
    }
  }

  ServerProcess server;
  Caller call;
  std::vector<double> latencies_ms;
};

using Pairs = std::vector<std::unique_ptr<Pair>>;

Latency Summarize(const GapPlan& plan, const Pairs& pairs) {
  std::vector<double> all;
  for (int i = 0; i < plan.servers; ++i) {
    const std::vector<double>& some = pairs[i]->latencies_ms;
    all.insert(all.end(), some.begin(), some.end());
  }
  std::sort(all.begin(), all.end());
  const auto quantile = [&](double q) {
    return all[static_cast<size_t>(q * static_cast<double>(all.size() - 1))];
  };
  return {plan.seconds, static_cast<int>(all.size()), quantile(0.5),
          quantile(0.99), all.back()};
}

void RunGap(const GapPlan& plan, std::vector<Pairs>& models) {
  std::vector<std::thread> threads;
  const auto join = [&] {
    for (auto& thread : threads) thread.join();
    threads.clear();
  };
  for (size_t m = 0; m < models.size(); ++m) {
    for (int i = 0; i < plan.servers; ++i) {
      const auto seed = static_cast<unsigned>(1000 * m + i + 1);
      threads.emplace_back(
          [&plan, &pair = *models[m][i], seed] { pair.Run(plan, seed); });
    }
    if (plan.in_turn) join();
  }
  join();
}

}  // namespace

void MeasureIdle(std::vector<Result>& results) {
  int most_servers = 0;
  for (const GapPlan& plan : kGaps) {
    most_servers = std::max(most_servers, plan.servers);
  }
  std::vector<Pairs> models(results.size());
  for (size_t m = 0; m < results.size(); ++m) {
    for (int i = 0; i < most_servers; ++i) {
      models[m].push_back(std::make_unique<Pair>(results[m].config));
    }
  }
  for (const GapPlan& plan : kGaps) {
    RunGap(plan, models);
    for (size_t m = 0; m < results.size(); ++m) {
      results[m].idle.push_back(Summarize(plan, models[m]));
    }
  }
}

void MeasureThroughput(std::vector<Result>& results) {
  for (const int outstanding : kOutstanding) {
    std::vector<std::vector<double>> rounds(results.size());
    for (int round = 0; round < kRounds; ++round) {
      for (size_t m = 0; m < results.size(); ++m) {
        if (results[m].config.model == Model::kSocket) continue;
        const ServerProcess server(results[m].config);
        rounds[m].push_back(
            CallsPerSecond(server.port(), outstanding, kRoundLength));
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
    ServerProcess server(config);
    const std::string services = AskReflection(server.port(), list_services);
    result.listed = services.find("lossd.v1.LossService") != std::string::npos;
    if (config.model == Model::kLossd) continue;
    const double before = server.ResidentMib();
    CallMeanwhile(server.port(), calls, kHeldBytes, [&] {
      // Loopback moves all of it in a fraction of this.
      std::this_thread::sleep_for(std::chrono::milliseconds(1500));
      result.held_mib = server.ResidentMib() - before;
      server.OpenGate();
    });
  }
}

}  // namespace lossd::bench
