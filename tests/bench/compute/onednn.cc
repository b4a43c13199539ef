// The strongest peer: oneDNN's log-softmax, forward and backward, on the same
// logits, in float32 and not exact. The gradient of the mean loss comes from a
// backward pass over -[i = y] / rows, which is laid down before the clock
// starts.
#include <benchmark/benchmark.h>
#include <omp.h>

#include <oneapi/dnnl/dnnl.hpp>

#include "absl/strings/str_cat.h"
#include "tests/bench/compute/bench_compute.h"

namespace lossd::bench {
namespace {

void RunLogSoftmax(benchmark::State& state, const Shape& shape, int threads) {
  omp_set_num_threads(threads);
  std::vector<float> logits = RandomLogits(shape);
  const std::vector<int64_t> labels = RandomLabels(shape);
  std::vector<float> log_probabilities(logits.size(), 1.0f);
  std::vector<float> gradient(logits.size(), 1.0f);
  std::vector<float> upstream(logits.size(), 0.0f);
  for (int64_t row = 0; row < shape.rows; ++row) {
    upstream[row * shape.classes + labels[row]] = -1.0f / shape.rows;
  }

  dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const dnnl::memory::desc layout({shape.rows, shape.classes},
                                  dnnl::memory::data_type::f32,
                                  dnnl::memory::format_tag::ab);
  const dnnl::logsoftmax_forward::primitive_desc forward_desc(
      {dnnl::prop_kind::forward_training, layout, 1}, engine);
  const dnnl::logsoftmax_backward::primitive_desc backward_desc(
      {layout, layout, 1}, engine, forward_desc);
  dnnl::logsoftmax_forward forward(forward_desc);
  dnnl::logsoftmax_backward backward(backward_desc);
  dnnl::memory z(layout, engine, logits.data());
  dnnl::memory log_p(layout, engine, log_probabilities.data());
  dnnl::memory u(layout, engine, upstream.data());
  dnnl::memory g(layout, engine, gradient.data());

  WallTimer timer;
  for (auto _ : state) {
    forward.execute(stream, {{DNNL_ARG_SRC, z}, {DNNL_ARG_DST, log_p}});
    stream.wait();
    double loss = 0.0;
    for (int64_t row = 0; row < shape.rows; ++row) {
      loss -= log_probabilities[row * shape.classes + labels[row]];
    }
    benchmark::DoNotOptimize(loss);
    backward.execute(stream, {{DNNL_ARG_DST, log_p},
                              {DNNL_ARG_DIFF_DST, u},
                              {DNNL_ARG_DIFF_SRC, g}});
    stream.wait();
  }
  timer.Report(state, shape);
}

}  // namespace

void RegisterOneDnn(const std::vector<Shape>& shapes,
                    const std::vector<int>& threads) {
  for (const Shape& shape : shapes) {
    for (const int t : threads) {
      benchmark::RegisterBenchmark(
          absl::StrCat("onednn/", Name(shape), "/threads:", t).c_str(),
          [shape, t](benchmark::State& state) {
            RunLogSoftmax(state, shape, t);
          });
    }
  }
}

}  // namespace lossd::bench
