// Runs ComputeLoss on plain vectors, laid out in memory as a test asks.
#ifndef LOSSD_TESTS_SUPPORT_LOSS_RUNNER_H_
#define LOSSD_TESTS_SUPPORT_LOSS_RUNNER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "server/compute/loss.h"
#include "tests/support/distributions.h"

namespace lossd::testing {

// A batch of T, any of the core's element types.
template <typename T>
struct TestBatch {
  int64_t rows = 0;
  int64_t classes = 0;
  std::vector<T> logits;        // [rows * classes]
  std::vector<int64_t> labels;  // [rows]
};

// One batch of rows and labels drawn from `distribution`.
template <typename T>
TestBatch<T> DrawBatch(Distribution distribution, int64_t rows, int64_t classes,
                       uint64_t seed);

// Which outputs to ask for; a sum of these.
inline constexpr unsigned kGradient = 1;
inline constexpr unsigned kRowLosses = 2;
inline constexpr unsigned kLogSumExp = 4;
inline constexpr unsigned kPredictions = 8;
inline constexpr unsigned kProbabilities = 16;
inline constexpr unsigned kLogProbabilities = 32;
inline constexpr unsigned kAllOutputs = 63;

struct RunSettings {
  compute::SoftmaxCrossEntropy loss;
  // [classes]; not empty: the loss's class_weights.
  std::vector<double> class_weights;
  compute::LossOptions options;
  std::vector<double> row_weights;  // [rows]; empty: 1
  std::vector<double> upstream;     // [rows] or [1]; empty: 1
  // [rows * classes]; not empty: the targets, instead of the batch's labels,
  // each rounded to `target_type`.
  std::vector<double> target_probabilities;
  compute::ElementType target_type = compute::ElementType::kFloat64;
  unsigned outputs = kAllOutputs;
  std::optional<compute::ElementType> gradient_type;
  int threads = 1;
  // Addresses of inputs and outputs are these past a multiple of 64.
  size_t input_offset = 0;
  size_t output_offset = 0;
  // Where the logits' bytes are cut into pieces, ascending; a repeated position
  // makes an empty piece. Each piece has a buffer of its own.
  std::vector<size_t> cuts;
  std::vector<size_t> target_cuts;  // the same for the target probabilities
  compute::ClassIndices::Type label_type = compute::ClassIndices::Type::kInt64;
  std::function<absl::Status()> stop_check;  // default: always OK
};

// What ComputeLoss gave; outputs not asked for are empty.
template <typename T>
struct LossRun {
  compute::LossSummary summary;
  std::vector<T> gradient;            // empty with a gradient_type
  std::vector<double> gradient_wide;  // with a gradient_type, widened
  std::vector<T> probabilities;
  std::vector<T> log_probabilities;
  std::vector<T> row_losses;
  std::vector<T> log_sum_exp;
  std::vector<int64_t> predictions;
};

// Runs ComputeLoss. Fails the running test where a byte beside an output was
// written; outputs start out filled with a pattern, so what is left unwritten
// shows.
template <typename T>
absl::StatusOr<LossRun<T>> RunLoss(const TestBatch<T>& batch,
                                   const RunSettings& settings = {});

// RunLoss for batches that must work: fails the running test otherwise.
template <typename T>
LossRun<T> MustRunLoss(const TestBatch<T>& batch,
                       const RunSettings& settings = {});

// Whether all that both runs hold is the same, bit by bit; NaN like other bits.
template <typename T>
::testing::AssertionResult SameBits(const LossRun<T>& a, const LossRun<T>& b);

template <typename T>
::testing::AssertionResult SameBits(const std::vector<T>& a,
                                    const std::vector<T>& b);

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_SUPPORT_LOSS_RUNNER_H_
