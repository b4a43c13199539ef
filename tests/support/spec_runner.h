// Any loss of the core in tests: one batch of targets for each logit, or of
// class indices.
#ifndef LOSSD_TESTS_SUPPORT_SPEC_RUNNER_H_
#define LOSSD_TESTS_SUPPORT_SPEC_RUNNER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "server/compute/loss.h"
#include "tests/support/elements.h"
#include "tests/support/loss_runner.h"

namespace lossd::testing {

template <typename T>
struct SpecBatch {
  int64_t rows = 0;
  int64_t classes = 0;
  std::vector<T> logits = {};        // [rows * classes]
  std::vector<double> targets = {};  // [rows * classes]
  std::vector<int64_t> labels = {};  // [rows]; not empty: instead of targets
  compute::ElementType target_type = compute::ElementType::kFloat64;
  std::vector<double> row_weights = {};
  std::vector<double> upstream = {};
  compute::LossOptions options = {};
  std::optional<compute::ElementType> gradient_type = std::nullopt;
  int threads = 1;
};

template <typename T>
struct SpecRun {
  compute::LossSummary summary;
  std::vector<T> gradient;            // empty with a gradient_type
  std::vector<double> gradient_wide;  // with a gradient_type of float64
  std::vector<T> row_losses;
  std::vector<int64_t> predictions;
};

template <typename T>
absl::Span<std::byte> BytesOf(std::vector<T>& values) {
  return {reinterpret_cast<std::byte*>(values.data()),
          values.size() * sizeof(T)};
}

template <typename T>
absl::StatusOr<SpecRun<T>> RunSpec(const compute::LossSpec& spec,
                                   const SpecBatch<T>& batch) {
  std::vector<T> logits = batch.logits;
  std::vector<double> targets = batch.targets;
  const absl::Span<const std::byte> logit_bytes = BytesOf(logits);
  compute::Batch view;
  view.rows = batch.rows;
  view.classes = batch.classes;
  view.logits_type = ElementTypeOf<T>();
  view.logits = {&logit_bytes, 1};
  std::vector<std::byte> target_bytes;
  absl::Span<const std::byte> target_span;
  if (!batch.labels.empty()) {
    view.labels = compute::ClassIndices(
        compute::ClassIndices::Type::kInt64,
        reinterpret_cast<const std::byte*>(batch.labels.data()), batch.rows);
  } else {
    target_bytes.resize(targets.size() *
                        compute::ElementBytes(batch.target_type));
    for (size_t i = 0; i < targets.size(); ++i) {
      compute::StoreElement(batch.target_type, targets[i], target_bytes.data(),
                            static_cast<int64_t>(i));
    }
    target_span = target_bytes;
    view.labels = compute::FloatTargets{batch.target_type, {&target_span, 1}};
  }
  view.row_weights = batch.row_weights;
  view.upstream_gradient = batch.upstream;
  SpecRun<T> run;
  run.row_losses.resize(batch.rows);
  run.predictions.resize(batch.rows);
  compute::LossOutputs outputs;
  outputs.gradient_type = batch.gradient_type;
  if (batch.gradient_type == compute::ElementType::kFloat64) {
    run.gradient_wide.resize(batch.logits.size());
    outputs.gradient = BytesOf(run.gradient_wide);
  } else {
    run.gradient.resize(batch.logits.size());
    outputs.gradient = BytesOf(run.gradient);
  }
  outputs.row_losses = BytesOf(run.row_losses);
  outputs.predictions = BytesOf(run.predictions);
  compute::ThreadPool pool(batch.threads);
  const absl::StatusOr<compute::LossSummary> summary =
      compute::ComputeLoss(spec, batch.options, view, outputs, pool,
                           [] { return absl::OkStatus(); });
  if (!summary.ok()) return summary.status();
  run.summary = *summary;
  return run;
}

// RunSpec for batches that must work: fails the running test otherwise.
template <typename T>
SpecRun<T> MustRun(const compute::LossSpec& spec, const SpecBatch<T>& batch) {
  absl::StatusOr<SpecRun<T>> run = RunSpec(spec, batch);
  if (run.ok()) return *std::move(run);
  ADD_FAILURE() << run.status();
  SpecRun<T> blank;
  blank.summary.loss = 0.0;
  blank.gradient.resize(batch.logits.size());
  blank.row_losses.resize(batch.rows);
  blank.predictions.resize(batch.rows);
  return blank;
}

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_SUPPORT_SPEC_RUNNER_H_
