#include "server/rpc/self_test.h"

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <vector>

#include "server/compute/error.h"
#include "server/compute/kernel.h"
#include "server/compute/loss.h"
#include "server/rpc/tensor.h"

namespace lossd::rpc {
namespace {

struct Example {
  std::vector<double> logits;
  int64_t label;
  double loss;            // -ln softmax(logits)[label]
  double label_gradient;  // softmax(logits)[label] - 1
};

// Relative; far above any kernel's error, far below any bug's.
template <typename Float>
constexpr double kTolerance = sizeof(Float) == 4 ? 1e-6 : 1e-14;

absl::Status SelfTestError(std::string_view what, double got, double want) {
  return compute::MakeError(
      absl::StatusCode::kInternal,
      fmt::format("self-test on kernel {}: {} = {}, want {}",
                  compute::ActiveKernel(), what, got, want),
      {"SELF_TEST_FAILED",
       "",
       {{"kernel", std::string(compute::ActiveKernel())},
        {"what", std::string(what)},
        {"got", fmt::format("{}", got)},
        {"want", fmt::format("{}", want)}}});
}

bool IsClose(double got, double want, double tolerance) {
  return std::abs(got - want) <= tolerance * std::abs(want);
}

template <typename Float>
absl::Status RunExample(const Example& example, compute::ThreadPool& pool) {
  const std::vector<Float> logits(example.logits.begin(), example.logits.end());
  const absl::Span<const std::byte> logits_bytes =
      BytesOf(logits.data(), logits.size());
  std::vector<Float> gradient(logits.size());
  compute::Batch batch;
  batch.rows = 1;
  batch.classes = static_cast<int64_t>(logits.size());
  batch.logits_type = sizeof(Float) == 4 ? compute::ElementType::kFloat32
                                         : compute::ElementType::kFloat64;
  batch.logits = {&logits_bytes, 1};
  batch.labels = compute::ClassIndices(compute::ClassIndices::Type::kInt64,
                                       BytesOf(&example.label, 1).data(), 1);
  compute::LossOutputs outputs;
  outputs.gradient = {reinterpret_cast<std::byte*>(gradient.data()),
                      gradient.size() * sizeof(Float)};
  const auto summary = compute::ComputeLoss(
      compute::SoftmaxCrossEntropy(), compute::LossOptions(), batch, outputs,
      pool, [] { return absl::OkStatus(); });
  if (!summary.ok()) return summary.status();
  const std::string row =
      fmt::format("row of {} {}-byte logits", logits.size(), sizeof(Float));
  const double loss = summary->loss.value_or(NAN);
  if (!IsClose(loss, example.loss, kTolerance<Float>)) {
    return SelfTestError("loss of a " + row, loss, example.loss);
  }
  const double label_gradient = gradient[example.label];
  if (!IsClose(label_gradient, example.label_gradient, kTolerance<Float>)) {
    return SelfTestError("gradient of a " + row, label_gradient,
                         example.label_gradient);
  }
  return absl::OkStatus();
}

std::vector<Example> Examples() {
  std::vector<Example> examples;
  // z = (2, 1, 0.1), y = 0, by hand.
  examples.push_back(
      {{2, 1, 0.1}, 0, 0.41703001627783354, -0.3409988611140321});
  // Equal logits: ln C, and 1/C - 1. Lengths with and without whole vectors.
  for (const int classes : {1, 2, 27, 1000}) {
    const double count = classes;
    examples.push_back({std::vector<double>(classes, 3.0), classes - 1,
                        std::log(count), 1 / count - 1});
  }
  return examples;
}

}  // namespace

absl::Status RunSelfTest(compute::ThreadPool& pool) {
  for (const Example& example : Examples()) {
    absl::Status status = RunExample<float>(example, pool);
    if (status.ok()) status = RunExample<double>(example, pool);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace lossd::rpc
