// The core's thread pool against oneTBB in what the service asks of either:
// handing a call over, sharing out a loop, and a short call that comes while
// long loops run.
#include <benchmark/benchmark.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <vector>

#include "server/compute/thread_pool.h"

namespace lossd::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kThreads = 2;
constexpr auto kBlockTime = std::chrono::microseconds(50);

// The two pools behind one face.
class OwnPool {
 public:
  template <typename F>
  void Submit(F task) {
    pool_.Submit(std::move(task));
  }
  template <typename F>
  void ForEachBlock(int64_t blocks, const F& body) {
    pool_.ForEachBlock(blocks, body);
  }

 private:
  compute::ThreadPool pool_{kThreads};
};

class TbbPool {
 public:
  template <typename F>
  void Submit(F task) {
    arena_.enqueue(std::move(task));
  }
  template <typename F>
  void ForEachBlock(int64_t blocks, const F& body) {
    arena_.execute([&] {
      tbb::parallel_for(int64_t{0}, blocks, body, tbb::simple_partitioner());
    });
  }

 private:
  // oneTBB counts the caller among its threads and so starts one worker fewer;
  // no slot is kept for callers: a submitted task may use every thread.
  tbb::global_control limit_{tbb::global_control::max_allowed_parallelism,
                             kThreads + 1};
  tbb::task_arena arena_{kThreads, 0};
};

void Work(int64_t) {
  const auto end = Clock::now() + kBlockTime;
  while (Clock::now() < end) {
  }
}

template <typename Pool>
void BM_HandOver(benchmark::State& state) {
  Pool pool;
  for (auto _ : state) {
    std::promise<void> done;
    pool.Submit([&] { done.set_value(); });
    done.get_future().wait();
  }
}

template <typename Pool>
void BM_LoopOf64Blocks(benchmark::State& state) {
  Pool pool;
  for (auto _ : state) pool.ForEachBlock(64, Work);
}

// The time that an empty task waits beside one long loop, which a task of the
// same pool runs, as a call of the service does: its median and worst over 200
// tasks.
template <typename Pool>
void BM_ShortTaskBesideLongLoop(benchmark::State& state) {
  for (auto _ : state) {
    Pool pool;
    std::atomic<bool> stop{false};
    std::promise<void> loops_ended;
    pool.Submit([&] {
      // Bounded, since a pool may not run the short tasks before it ends.
      for (int i = 0; i < 100 && !stop; ++i) pool.ForEachBlock(256, Work);
      loops_ended.set_value();
    });
    std::vector<double> waits_us;
    for (int i = 0; i < 200; ++i) {
      std::promise<void> done;
      const auto start = Clock::now();
      pool.Submit([&] { done.set_value(); });
      done.get_future().wait();
      waits_us.push_back(
          std::chrono::duration<double, std::micro>(Clock::now() - start)
              .count());
    }
    stop = true;
    loops_ended.get_future().wait();
    std::sort(waits_us.begin(), waits_us.end());
    state.counters["p50_us"] = waits_us[100];
    state.counters["worst_us"] = waits_us.back();
  }
}

BENCHMARK(BM_HandOver<OwnPool>)->UseRealTime();
BENCHMARK(BM_HandOver<TbbPool>)->UseRealTime();
BENCHMARK(BM_LoopOf64Blocks<OwnPool>)->UseRealTime();
BENCHMARK(BM_LoopOf64Blocks<TbbPool>)->UseRealTime();
BENCHMARK(BM_ShortTaskBesideLongLoop<OwnPool>)->UseRealTime()->Iterations(5);
BENCHMARK(BM_ShortTaskBesideLongLoop<TbbPool>)->UseRealTime()->Iterations(5);

}  // namespace
}  // namespace lossd::bench

BENCHMARK_MAIN();
