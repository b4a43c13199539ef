#ifndef LOSSD_TESTS_BENCH_COMPUTE_BENCH_COMPUTE_H_
#define LOSSD_TESTS_BENCH_COMPUTE_BENCH_COMPUTE_H_

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace lossd::bench {

// One batch of float32 logits (normal, scale 5) with labels.
struct Shape {
  int64_t rows;
  int64_t classes;
};

// "256x50257".
std::string Name(const Shape& shape);

// Pages touched, so that no first use is timed.
std::vector<float> RandomLogits(const Shape& shape);
std::vector<int64_t> RandomLabels(const Shape& shape);

// Reports GB/s of wall-clock time: one read and one write of 4 bytes per logit.
// Google Benchmark's own UseRealTime would change the benchmarks' fixed names.
class WallTimer {
 public:
  void Report(benchmark::State& state, const Shape& shape) const;

 private:
  std::chrono::steady_clock::time_point start_ =
      std::chrono::steady_clock::now();
};

// Each registers one benchmark per shape and thread count, named
// "KIND/ROWSxCLASSES/threads:T".
void RegisterCore(const std::vector<Shape>& shapes,
                  const std::vector<int>& threads);
void RegisterCopies(const std::vector<Shape>& shapes,
                    const std::vector<int>& threads);
void RegisterOneDnn(const std::vector<Shape>& shapes,
                    const std::vector<int>& threads);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_COMPUTE_BENCH_COMPUTE_H_
