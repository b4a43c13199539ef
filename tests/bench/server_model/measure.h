// The measurements, each over all the models at once or in turn.
#ifndef LOSSD_TESTS_BENCH_SERVER_MODEL_MEASURE_H_
#define LOSSD_TESTS_BENCH_SERVER_MODEL_MEASURE_H_

#include <vector>

#include "tests/bench/server_model/model.h"

namespace lossd::bench {

// Latencies of small calls after an idle gap, in milliseconds.
struct Latency {
  double gap_s = 0;
  int samples = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  double max_ms = 0;
};

// Everything measured of one model.
struct Result {
  ModelConfig config;
  std::vector<Latency> idle;
  std::vector<double> calls_per_s;  // one per entry of kOutstanding
  double held_mib = 0;              // server's growth while messages are held
  bool listed = false;              // reflection lists the service
};

inline constexpr int kOutstanding[] = {1, 8, 64};
inline constexpr size_t kHeldBytes = size_t{64} << 20;

// Fills `idle` of each result. Every gap is drawn from 0.9 to 1.1 times its
// nominal length, so that it meets a nap at any phase. From 0.1 s on, the
// models run side by side on several servers each, which are idle nearly all
// the time.
void MeasureIdle(std::vector<Result>& results);

// Fills `calls_per_s`: the median of rounds that go through all models in turn.
void MeasureThroughput(std::vector<Result>& results);

// Fills `held_mib`, with `calls` calls of kHeldBytes each, and `listed`.
void MeasureHolding(std::vector<Result>& results, int calls);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_SERVER_MODEL_MEASURE_H_
