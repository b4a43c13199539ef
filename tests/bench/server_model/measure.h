// The measurements, each over all the models at once or in turn.
#ifndef LOSSD_TESTS_BENCH_SERVER_MODEL_MEASURE_H_
#define LOSSD_TESTS_BENCH_SERVER_MODEL_MEASURE_H_

#include <vector>

#include "tests/bench/server_model/model.h"
#include "tests/bench/support/idle.h"

namespace lossd::bench {

// Everything measured of one model.
struct Result {
  ModelConfig config;
  std::vector<GapLatency> idle;
  std::vector<double> calls_per_s;  // one per entry of kOutstanding
  double held_mib = 0;              // server's growth while messages are held
  bool listed = false;              // reflection lists the service
};

inline constexpr int kOutstanding[] = {1, 8, 64};
inline constexpr size_t kHeldBytes = size_t{64} << 20;

// Fills `idle` of each result. From 0.1 s on, the models run side by side on
// several servers each, which are idle nearly all the time.
void MeasureIdle(std::vector<Result>& results);

// Fills `calls_per_s`: the median of rounds that go through all models in turn.
void MeasureThroughput(std::vector<Result>& results);

// Fills `held_mib`, with `calls` calls of kHeldBytes each, and `listed`.
void MeasureHolding(std::vector<Result>& results, int calls);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_SERVER_MODEL_MEASURE_H_
