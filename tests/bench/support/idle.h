// Latencies after idle gaps.
#ifndef LOSSD_TESTS_BENCH_SUPPORT_IDLE_H_
#define LOSSD_TESTS_BENCH_SUPPORT_IDLE_H_

#include <functional>
#include <vector>

namespace lossd::bench {

// One small call, answered before it returns.
using Caller = std::function<void()>;

// How one gap is measured.
struct GapPlan {
  double seconds;
  int servers;   // of each kind, side by side
  int calls;     // on each
  bool in_turn;  // kinds one after another: their gaps are so short that they
                 // would share the cores
};

struct GapLatency {
  double gap_s = 0;
  int samples = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  double max_ms = 0;
};

// Measures one gap: `kinds[k]` has a caller for each server of a kind, at least
// `plan.servers`, each called by a thread of its own. Every gap is drawn from
// 0.9 to 1.1 times its nominal length, so that it meets a nap at any phase.
// Returns one result per kind.
std::vector<GapLatency> MeasureGap(
    const GapPlan& plan, const std::vector<std::vector<Caller>>& kinds);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_SUPPORT_IDLE_H_
