// The core itself: loss and gradient as training asks for them, then with other
// types and options.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/compute/hessian.h"
#include "server/compute/kernel.h"
#include "server/compute/loss.h"
#include "tests/bench/compute/bench_compute.h"

namespace lossd::bench {
namespace {

using compute::ElementType;

struct Variant {
  const char* name;
  compute::LossSpec spec = compute::SoftmaxCrossEntropy();
  ElementType type = ElementType::kFloat32;  // of logits and gradient
  bool wants_gradient = true;
  bool has_targets = false;  // in [0, 1], float32, instead of labels
};

const std::vector<Variant>& Variants() {
  using compute::SoftmaxCrossEntropy;
  static const auto* const variants = new std::vector<Variant>{
      {"softmax_cross_entropy"},
      {.name = "softmax_cross_entropy_loss_only", .wants_gradient = false},
      {.name = "softmax_cross_entropy_float16", .type = ElementType::kFloat16},
      {.name = "softmax_cross_entropy_bfloat16",
       .type = ElementType::kBFloat16},
      {.name = "softmax_cross_entropy_float64", .type = ElementType::kFloat64},
      {.name = "softmax_cross_entropy_label_smoothing",
       .spec = SoftmaxCrossEntropy{.label_smoothing = 0.1}},
      {.name = "softmax_cross_entropy_probabilities", .has_targets = true},
      {.name = "sigmoid_cross_entropy",
       .spec = compute::SigmoidCrossEntropy(),
       .has_targets = true},
      {.name = "negative_log_likelihood",
       .spec = compute::NegativeLogLikelihood()},
      {.name = "softmax_focal", .spec = compute::SoftmaxFocal()},
      {.name = "sigmoid_focal",
       .spec = compute::SigmoidFocal(),
       .has_targets = true},
      {.name = "sigmoid_focal_gamma_1.5",
       .spec = compute::SigmoidFocal{.gamma = 1.5},
       .has_targets = true},
      {.name = "multiclass_hinge", .spec = compute::MulticlassHinge()},
      {.name = "squared_error",
       .spec = compute::SquaredError(),
       .has_targets = true},
      {.name = "huber", .spec = compute::Huber(), .has_targets = true},
      {.name = "kl_divergence",
       .spec = compute::KlDivergence(),
       .has_targets = true},
      {.name = "kl_divergence_logits",
       .spec = compute::KlDivergence{.targets_are_logits = true},
       .has_targets = true}};
  return *variants;
}

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
  const std::vector<std::byte> targets =
      variant.has_targets
          ? BytesOf(
                std::vector<float>(shape.rows * shape.classes,
                                   1.0f / static_cast<float>(shape.classes)),
                ElementType::kFloat32)
          : std::vector<std::byte>();
  std::vector<std::byte> gradient(logits.size(), std::byte{1});
  compute::ThreadPool pool(threads);
  const absl::Span<const std::byte> logits_piece(logits);
  const absl::Span<const std::byte> targets_piece(targets);

  compute::Batch batch;
  batch.rows = shape.rows;
  batch.classes = shape.classes;
  batch.logits_type = variant.type;
  batch.logits = {&logits_piece, 1};
  batch.labels = compute::ClassIndices(
      compute::ClassIndices::Type::kInt64,
      reinterpret_cast<const std::byte*>(labels.data()), shape.rows);
  if (variant.has_targets) {
    batch.labels =
        compute::FloatTargets{ElementType::kFloat32, {&targets_piece, 1}};
  }
  compute::LossOutputs outputs;
  if (variant.wants_gradient) outputs.gradient = absl::MakeSpan(gradient);
  WallTimer timer;
  for (auto _ : state) {
    const auto summary =
        compute::ComputeLoss(variant.spec, compute::LossOptions(), batch,
                             outputs, pool, [] { return absl::OkStatus(); });
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

namespace {

// Softmax cross-entropy's Hessian times a vector; the GB/s are those of one
// read and one write, as of a gradient.
void RunHessian(benchmark::State& state, const Shape& shape, int threads) {
  const std::vector<std::byte> logits =
      BytesOf(RandomLogits(shape), ElementType::kFloat32);
  std::vector<float> components = RandomLogits(shape);
  std::reverse(components.begin(), components.end());
  const std::vector<std::byte> vector =
      BytesOf(components, ElementType::kFloat32);
  const std::vector<int64_t> labels = RandomLabels(shape);
  std::vector<std::byte> product(logits.size(), std::byte{1});
  compute::ThreadPool pool(threads);
  const absl::Span<const std::byte> logits_piece(logits);
  const absl::Span<const std::byte> vector_piece(vector);
  compute::Batch batch;
  batch.rows = shape.rows;
  batch.classes = shape.classes;
  batch.logits = {&logits_piece, 1};
  batch.labels = compute::ClassIndices(
      compute::ClassIndices::Type::kInt64,
      reinterpret_cast<const std::byte*>(labels.data()), shape.rows);
  WallTimer timer;
  for (auto _ : state) {
    const absl::Status status = compute::ComputeHessianVectorProduct(
        compute::SoftmaxCrossEntropy(), compute::LossOptions(), batch,
        {&vector_piece, 1}, absl::MakeSpan(product), pool,
        [] { return absl::OkStatus(); });
    if (!status.ok()) return state.SkipWithError(status.ToString().c_str());
    benchmark::DoNotOptimize(product.data());
    benchmark::ClobberMemory();
  }
  timer.Report(state, shape);
  state.SetLabel(std::string(compute::ActiveKernel()));
}

}  // namespace

void RegisterCore(const std::vector<Shape>& shapes,
                  const std::vector<int>& threads) {
  for (const Shape& shape : shapes) {
    for (const int count : threads) {
      benchmark::RegisterBenchmark(absl::StrCat("hessian_vector_product/",
                                                Name(shape), "/threads:", count)
                                       .c_str(),
                                   [shape, count](benchmark::State& state) {
                                     RunHessian(state, shape, count);
                                   });
    }
  }
  for (const Variant& variant : Variants()) {
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
