// The core's speed beside the machine's limits and a peer, in one process,
// since only ratios taken in one run count. Figures: GB/s of one read and one
// write of 4 bytes per logit, so that all rows compare directly.
#include "tests/bench/compute/bench_compute.h"

#include <benchmark/benchmark.h>

#include <random>

#include "absl/strings/str_cat.h"

namespace lossd::bench {
namespace {

const std::vector<Shape> kShapes = {{32, 27},     {128, 1000},   {64, 32000},
                                    {256, 50257}, {128, 128256}, {4, 1000000},
                                    {1, 1000000}};
const std::vector<int> kThreads = {1, 2};

}  // namespace

std::string Name(const Shape& shape) {
  return absl::StrCat(shape.rows, "x", shape.classes);
}

std::vector<float> RandomLogits(const Shape& shape) {
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal(0.0f, 5.0f);
  std::vector<float> logits(shape.rows * shape.classes);
  for (float& logit : logits) logit = normal(random);
  return logits;
}

std::vector<int64_t> RandomLabels(const Shape& shape) {
  std::mt19937_64 random(2);
  std::uniform_int_distribution<int64_t> uniform(0, shape.classes - 1);
  std::vector<int64_t> labels(shape.rows);
  for (int64_t& label : labels) label = uniform(random);
  return labels;
}

void WallTimer::Report(benchmark::State& state, const Shape& shape) const {
  const std::chrono::duration<double> elapsed =
      std::chrono::steady_clock::now() - start_;
  const double bytes = 2.0 * 4.0 * shape.rows * shape.classes;
  state.counters["GB/s"] = bytes * state.iterations() / elapsed.count() / 1e9;
}

}  // namespace lossd::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  lossd::bench::RegisterCore(lossd::bench::kShapes, lossd::bench::kThreads);
  lossd::bench::RegisterCopies(lossd::bench::kShapes, lossd::bench::kThreads);
#ifdef LOSSD_HAVE_ONEDNN
  lossd::bench::RegisterOneDnn(lossd::bench::kShapes, lossd::bench::kThreads);
#endif
  benchmark::RunSpecifiedBenchmarks();
}
