// One row through the engine, included for the baseline target so that tests
// read its counters, and the same row by the oracle.
#ifndef LOSSD_TESTS_COMPUTE_ENGINE_ROW_H_
#define LOSSD_TESTS_COMPUTE_ENGINE_ROW_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "gtest/gtest.h"
#include "hwy/highway.h"
#include "server/compute/exact/row-inl.h"
#include "tests/support/elements.h"
#include "tests/support/oracle.h"

namespace lossd::testing {

namespace engine = compute::HWY_NAMESPACE;

// A row's logits, each rounded to T, with its options.
struct EngineRow {
  std::vector<double> logits;
  // What is kept apart; of rows with probabilities their largest.
  int64_t label = 0;
  std::vector<double> class_weights = {};
  std::vector<double> probabilities = {};  // of float64; empty: the label
  double smoothing = 0.0;
  double z_loss = 0.0;
  double scale = 1.0;
  double row_weight = 1.0;
  double upstream = 1.0;
  double denominator = 1.0;
  std::optional<compute::ElementType> gradient_type = std::nullopt;
};

// All results, widened.
struct EngineResults {
  std::vector<double> gradient;
  std::vector<double> probabilities;
  std::vector<double> log_probabilities;
  compute::RowResult row;
};

// `row` as the engine's task, without outputs. Views the arguments.
template <typename T>
compute::RowTask TaskOf(const EngineRow& row, const std::vector<T>& logits) {
  compute::RowTask task;
  task.type = ElementTypeOf<T>();
  task.logits = reinterpret_cast<const std::byte*>(logits.data());
  task.classes = static_cast<int64_t>(logits.size());
  task.label = row.label;
  if (!row.class_weights.empty()) {
    task.targets.class_weights = row.class_weights.data();
  }
  task.targets.smoothing = row.smoothing;
  if (!row.probabilities.empty()) {
    task.targets.type = compute::ElementType::kFloat64;
    task.targets.probabilities =
        reinterpret_cast<const std::byte*>(row.probabilities.data());
  }
  task.scale = row.scale;
  task.z_loss = row.z_loss;
  task.row_weight = row.row_weight;
  task.upstream = row.upstream;
  task.denominator = row.denominator;
  task.gradient_type = row.gradient_type.value_or(task.type);
  return task;
}

template <typename T>
EngineResults RunEngine(const EngineRow& row, compute::RowScratch& scratch) {
  const std::vector<T> logits = Narrowed<T>(row.logits);
  compute::RowTask task = TaskOf(row, logits);
  std::vector<double> gradient(logits.size());  // room for any type
  std::vector<T> probabilities(logits.size());
  std::vector<T> log_probabilities(logits.size());
  task.gradient = reinterpret_cast<std::byte*>(gradient.data());
  task.probabilities = reinterpret_cast<std::byte*>(probabilities.data());
  task.log_probabilities =
      reinterpret_cast<std::byte*>(log_probabilities.data());
  task.wants_log_sum_exp = task.wants_row_loss = task.wants_prediction = true;
  EngineResults results;
  engine::ComputeRow(task, scratch, T(), results.row);
  for (int64_t i = 0; i < task.classes; ++i) {
    results.gradient.push_back(
        compute::LoadElement(task.gradient_type, task.gradient, i));
  }
  results.probabilities = Wide(probabilities);
  results.log_probabilities = Wide(log_probabilities);
  return results;
}

// What the oracle says of the row.
template <typename T>
ExactRow OracleOf(const EngineRow& row) {
  const std::vector<double> logits = Wide(Narrowed<T>(row.logits));
  const RowTarget target =
      row.probabilities.empty()
          ? RowTarget(row.label)
          : RowTarget(absl::Span<const double>(row.probabilities));
  return OracleRow(logits, target,
                   {.class_weights = row.class_weights,
                    .label_smoothing = row.smoothing,
                    .z_loss = row.z_loss,
                    .logit_scale = row.scale},
                   {.row_weight = row.row_weight,
                    .upstream = row.upstream,
                    .divisor = row.denominator});
}

// Computes the row and expects every number to be the oracle's: correctly
// rounded, within 1 ulp for float64.
template <typename T>
void ExpectAsTheOracle(const EngineRow& row, compute::RowScratch& scratch) {
  constexpr compute::ElementType kType = ElementTypeOf<T>();
  const EngineResults got = RunEngine<T>(row, scratch);
  const ExactRow want = OracleOf<T>(row);
  const auto expect = [](compute::ElementType type, double computed,
                         const ExactReal& exact, const char* what, int64_t i) {
    const double rounded = RoundToType(type, exact);
    if (kType == compute::ElementType::kFloat64) {
      EXPECT_LE(ErrorInUlpsOfType(type, computed, exact), 1.0)
          << what << " " << i << ": " << computed << ", want " << rounded;
    } else {
      EXPECT_EQ(computed, rounded) << what << " " << i;
    }
  };
  const auto gradient_type = row.gradient_type.value_or(kType);
  for (size_t i = 0; i < row.logits.size(); ++i) {
    const auto c = static_cast<int64_t>(i);
    expect(gradient_type, got.gradient[i], want.gradient[i], "gradient", c);
    expect(kType, got.probabilities[i], want.probabilities[i], "p", c);
    expect(kType, got.log_probabilities[i], want.log_probabilities[i], "ln p",
           c);
  }
  expect(kType, got.row.rounded_loss, want.loss, "loss", -1);
  expect(kType, got.row.log_sum_exp, want.log_sum_exp, "log_sum_exp", -1);
}

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_COMPUTE_ENGINE_ROW_H_
