// The core's speed beside the machine's limits and a peer, in one process,
// since only ratios taken in one run count. Figures: GB/s of one read and one
// write of 4 bytes per logit, so that all rows compare directly.
#include "tests/bench/compute/bench_compute.h"

#include <benchmark/benchmark.h>

#include <memory>
#include <random>

#include "absl/strings/str_cat.h"
#include "server/compute/kernel.h"
#include "server/compute/loss.h"

namespace lossd::bench {
namespace {

const std::vector<Shape> kShapes = {{32, 27},     {128, 1000},   {64, 32000},
                                    {256, 50257}, {128, 128256}, {4, 1000000},
                                    {1, 1000000}};
const std::vector<int> kThreads = {1, 2};

enum class Kind { kLossAndGradient, kLossOnly };

void RunCrossEntropy(benchmark::State& state, const Shape& shape, int threads,
                     Kind kind) {
  const std::vector<float> logits = RandomLogits(shape);
  const std::vector<int64_t> labels = RandomLabels(shape);
  std::vector<float> gradient(logits.size(), 1.0f);
  compute::ThreadPool pool(threads);
  const absl::Span<const std::byte> bytes(
      reinterpret_cast<const std::byte*>(logits.data()), logits.size() * 4);
  compute::Batch batch;
  batch.rows = shape.rows;
  batch.classes = shape.classes;
  batch.logits = absl::MakeConstSpan(&bytes, 1);
  batch.labels = compute::ClassIndices(
      compute::ClassIndices::Type::kInt64,
      reinterpret_cast<const std::byte*>(labels.data()), shape.rows);
  compute::LossOutputs outputs;
  if (kind == Kind::kLossAndGradient) {
    outputs.gradient = absl::MakeSpan(
        reinterpret_cast<std::byte*>(gradient.data()), gradient.size() * 4);
  }
  WallTimer timer;
  for (auto _ : state) {
    const auto summary = compute::ComputeLoss(
        compute::SoftmaxCrossEntropy(), compute::LossOptions(), batch, outputs,
        pool, [] { return absl::OkStatus(); });
    if (!summary.ok()) {
      return state.SkipWithError(summary.status().ToString().c_str());
    }
    benchmark::DoNotOptimize(gradient.data());
    benchmark::ClobberMemory();
  }
  timer.Report(state, shape);
  state.SetLabel(std::string(compute::ActiveKernel()));
}

void RegisterCore() {
  const std::pair<const char*, Kind> kinds[] = {
      {"softmax_cross_entropy", Kind::kLossAndGradient},
      {"softmax_cross_entropy_loss_only", Kind::kLossOnly}};
  for (const auto& [name, kind] : kinds) {
    for (const Shape& shape : kShapes) {
      for (const int threads : kThreads) {
        benchmark::RegisterBenchmark(
            absl::StrCat(name, "/", Name(shape), "/threads:", threads).c_str(),
            [shape, threads, kind = kind](benchmark::State& state) {
              RunCrossEntropy(state, shape, threads, kind);
            });
      }
    }
  }
}

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
  lossd::bench::RegisterCore();
  lossd::bench::RegisterCopies(lossd::bench::kShapes, lossd::bench::kThreads);
#ifdef LOSSD_HAVE_ONEDNN
  lossd::bench::RegisterOneDnn(lossd::bench::kShapes, lossd::bench::kThreads);
#endif
  benchmark::RunSpecifiedBenchmarks();
}
