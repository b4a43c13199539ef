#include "tests/bench/support/idle.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

#include "client/lossctl/quantiles.h"

namespace lossd::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

std::vector<double> LatenciesAfterGaps(const GapPlan& plan, const Caller& call,
                                       unsigned seed) {
  std::minstd_rand random(seed);
  std::uniform_real_distribution<double> jitter(0.9, 1.1);
  std::vector<double> latencies_ms;
  for (int i = 0; i < plan.calls; ++i) {
    if (plan.seconds > 0) {
      std::this_thread::sleep_for(
          std::chrono::duration<double>(plan.seconds * jitter(random)));
    }
    const Clock::time_point begin = Clock::now();
    call();
    latencies_ms.push_back(Milliseconds(Clock::now() - begin).count());
  }
  return latencies_ms;
}

GapLatency Summarize(const GapPlan& plan,
                     const std::vector<std::vector<double>>& servers) {
  std::vector<double> all;
  for (const std::vector<double>& latencies_ms : servers) {
    all.insert(all.end(), latencies_ms.begin(), latencies_ms.end());
  }
  std::sort(all.begin(), all.end());
  return {plan.seconds, static_cast<int>(all.size()),
          lossctl::Quantile(all, 0.5), lossctl::Quantile(all, 0.99),
          all.back()};
}

}  // namespace

std::vector<GapLatency> MeasureGap(
    const GapPlan& plan, const std::vector<std::vector<Caller>>& kinds) {
  std::vector<std::vector<std::vector<double>>> latencies_ms(
      kinds.size(), std::vector<std::vector<double>>(plan.servers));
  std::vector<std::thread> threads;
  const auto join = [&threads] {
    for (std::thread& thread : threads) thread.join();
    threads.clear();
  };
  for (size_t k = 0; k < kinds.size(); ++k) {
    for (int i = 0; i < plan.servers; ++i) {
      const auto seed = static_cast<unsigned>(1000 * k + i + 1);
      threads.emplace_back([&, k, i, seed] {
        latencies_ms[k][i] = LatenciesAfterGaps(plan, kinds[k][i], seed);
      });
    }
    if (plan.in_turn) join();
  }
  join();
  std::vector<GapLatency> results;
  for (const auto& servers : latencies_ms) {
    results.push_back(Summarize(plan, servers));
  }
  return results;
}

}  // namespace lossd::bench
