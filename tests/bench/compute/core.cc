// The core itself: loss and gradient as training asks for them, then with other
// types and options.
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/compute/kernel.h"
#include "server/compute/loss.h"
#include "tests/bench/compute/bench_compute.h"

namespace lossd::bench {
namespace {

using compute::ElementType;

struct Variant {
  const char* name;
  ElementType type = ElementType::kFloat32;  // of logits and gradient
  bool wants_gradient = true;
  bool has_probabilities = false;  // as targets, float32
  double label_smoothing = 0.0;
};

const Variant kVariants[] = {
    {"softmax_cross_entropy"},
    {"softmax_cross_entropy_loss_only", ElementType::kFloat32, false},
    {"softmax_cross_entropy_float16", ElementType::kFloat16},
    {"softmax_cross_entropy_bfloat16", ElementType::kBFloat16},
    {"softmax_cross_entropy_float64", ElementType::kFloat64},
    {"softmax_cross_entropy_label_smoothing", ElementType::kFloat32, true,
     false, 0.1},
    {"softmax_cross_entropy_probabilities", ElementType::kFloat32, true, true},
};

// The values as elements of `type`, in memory that has been touched.
std::vector<std::byte> BytesOf(const std::vector<float>& values,
                               ElementType type) {
  std::vector<std::byte> bytes(values.size() * compute::ElementBytes(type));
  for (size_t i = 0; i < values.size(); ++i) {
    compute::StoreElement(type, values[i], bytes.data(),
                          static_cast<int64_t>(i));
  }
  return bytes;
}

void Run(benchmark::State& state, const Variant& variant, const Shape& shape,
         int threads) {
  const std::vector<std::byte> logits =
      BytesOf(RandomLogits(shape), variant.type);
  const std::vector<int64_t> labels = RandomLabels(shape);
  const std::vector<std::byte> probabilities =
      variant.has_probabilities
          ? BytesOf(
                std::vector<float>(shape.rows * shape.classes,
                                   1.0f / static_cast<float>(shape.classes)),
                ElementType::kFloat32)
          : std::vector<std::byte>();
  std::vector<std::byte> gradient(logits.size(), std::byte{1});
  compute::ThreadPool pool(threads);
  const absl::Span<const std::byte> logits_piece(logits);
  const absl::Span<const std::byte> probabilities_piece(probabilities);

  compute::Batch batch;
  batch.rows = shape.rows;
  batch.classes = shape.classes;
  batch.logits_type = variant.type;
  batch.logits = {&logits_piece, 1};
  batch.labels = compute::ClassIndices(
      compute::ClassIndices::Type::kInt64,
      reinterpret_cast<const std::byte*>(labels.data()), shape.rows);
  if (variant.has_probabilities) {
    batch.labels = compute::FloatTargets{ElementType::kFloat32,
                                          {&probabilities_piece, 1}};
  }
  compute::SoftmaxCrossEntropy loss;
  loss.label_smoothing = variant.label_smoothing;
  compute::LossOutputs outputs;
  if (variant.wants_gradient) outputs.gradient = absl::MakeSpan(gradient);
  WallTimer timer;
  for (auto _ : state) {
    const auto summary =
        compute::ComputeLoss(loss, compute::LossOptions(), batch, outputs, pool,
                             [] { return absl::OkStatus(); });
    if (!summary.ok()) {
      return state.SkipWithError(summary.status().ToString().c_str());
    }
    benchmark::DoNotOptimize(gradient.data());
    benchmark::ClobberMemory();
  }
  timer.Report(state, shape);
  state.SetLabel(std::string(compute::ActiveKernel()));
}

}  // namespace

void RegisterCore(const std::vector<Shape>& shapes,
                  const std::vector<int>& threads) {
  for (const Variant& variant : kVariants) {
    for (const Shape& shape : shapes) {
      for (const int count : threads) {
        benchmark::RegisterBenchmark(
            absl::StrCat(variant.name, "/", Name(shape), "/threads:", count)
                .c_str(),
            [&variant, shape, count](benchmark::State& state) {
              Run(state, variant, shape, count);
            });
      }
    }
  }
}

}  // namespace lossd::bench
