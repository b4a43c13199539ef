// Products of Hessians and vectors by the core, on plain vectors.
#ifndef LOSSD_TESTS_SUPPORT_HESSIAN_RUNNER_H_
#define LOSSD_TESTS_SUPPORT_HESSIAN_RUNNER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "server/compute/hessian.h"
#include "tests/support/elements.h"
#include "tests/support/spec_runner.h"

namespace lossd::testing {

// Runs `batch` with `vector`, [rows * classes]. Targets are float64; vector and
// logits lie in two pieces each, cut inside of a row.
template <typename T>
absl::StatusOr<std::vector<T>> RunHessian(
    const compute::LossSpec& spec, const SpecBatch<T>& batch,
    std::vector<T> vector,
    const std::function<absl::Status()>& stop_check = [] {
      return absl::OkStatus();
    }) {
  using Piece = absl::Span<const std::byte>;
  std::vector<T> logits = batch.logits;
  std::vector<double> targets = batch.targets;
  const auto in_two = [](Piece bytes) {
    const size_t cut = bytes.size() / 3;
    return std::vector<Piece>{bytes.first(cut), bytes.subspan(cut)};
  };
  const std::vector<Piece> logit_pieces = in_two(BytesOf(logits));
  const std::vector<Piece> vector_pieces = in_two(BytesOf(vector));
  const std::vector<Piece> target_pieces = in_two(BytesOf(targets));
  compute::Batch view;
  view.rows = batch.rows;
  view.classes = batch.classes;
  view.logits_type = ElementTypeOf<T>();
  view.logits = logit_pieces;
  if (!batch.labels.empty() || batch.targets.empty()) {
    view.labels = compute::ClassIndices(
        compute::ClassIndices::Type::kInt64,
        reinterpret_cast<const std::byte*>(batch.labels.data()), batch.rows);
  } else {
    view.labels =
        compute::FloatTargets{compute::ElementType::kFloat64, target_pieces};
  }
  view.row_weights = batch.row_weights;
  view.upstream_gradient = batch.upstream;
  // A pattern, so that what is left unwritten shows.
  std::vector<T> product(batch.logits.size(), compute::FromDouble<T>(77));
  compute::ThreadPool pool(batch.threads);
  const absl::Status status = compute::ComputeHessianVectorProduct(
      spec, batch.options, view, vector_pieces, BytesOf(product), pool,
      stop_check);
  if (!status.ok()) return status;
  return product;
}

// RunHessian for batches that must work: fails the running test otherwise.
template <typename T>
std::vector<T> MustRunHessian(const compute::LossSpec& spec,
                              const SpecBatch<T>& batch,
                              const std::vector<T>& vector) {
  auto product = RunHessian(spec, batch, vector);
  if (product.ok()) return *std::move(product);
  ADD_FAILURE() << product.status();
  return std::vector<T>(batch.logits.size());
}

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_SUPPORT_HESSIAN_RUNNER_H_
