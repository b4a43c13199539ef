// What measuring costs: all that is counted and timed for a small unary call,
// without the call. With two threads, as two pollers do it.
#include <benchmark/benchmark.h>

#include <cstdint>

#include "server/rpc/computed_work.h"
#include "server/rpc/metrics.h"
#include "server/rpc/phase_times.h"

namespace lossd::rpc {
namespace {

void BM_MeasureOneCall(benchmark::State& state) {
  static Metrics metrics({"ComputeLoss", "StreamLoss"}, "0", "AVX3");
  static ComputedWork computed;
  for (auto _ : state) {
    PhaseTimes times;
    times.Start(Phase::kReceive);
    metrics.CountReceived(3600);
    times.Switch(Phase::kReceive, Phase::kCompute);
    computed.Add(32, 27);
    times.Switch(Phase::kCompute, Phase::kSend);
    metrics.CountSent(3500);
    metrics.CountCall(0, absl::StatusCode::kOk);
    times.Stop(Phase::kSend);
    metrics.Observe(times);
  }
}
BENCHMARK(BM_MeasureOneCall)->Threads(1)->Threads(2)->UseRealTime();

void BM_ReadTheClock(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(PhaseTimes::Clock::now());
  }
}
BENCHMARK(BM_ReadTheClock);

}  // namespace
}  // namespace lossd::rpc
