// The core's only door: losses of batched logits and their gradients.
#ifndef LOSSD_SERVER_COMPUTE_LOSS_H_
#define LOSSD_SERVER_COMPUTE_LOSS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <variant>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/compute/element_type.h"
#include "server/compute/row_source.h"
#include "server/compute/thread_pool.h"

namespace lossd::compute {

// Class indices as they lie in memory, at any alignment.
class ClassIndices {
 public:
  enum class Type { kInt32, kInt64 };

  ClassIndices() = default;
  // `data` holds `size` indices of `type` and outlives this view.
  ClassIndices(Type type, const std::byte* data, int64_t size)
      : type_(type), data_(data), size_(size) {}

  int64_t size() const { return size_; }

  int64_t operator[](int64_t i) const {
    if (type_ == Type::kInt32) return Load<int32_t>(i);
    return Load<int64_t>(i);
  }

 private:
  template <typename T>
  T Load(int64_t i) const {
    T value;
    std::memcpy(&value, data_ + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
    return value;
  }

  Type type_ = Type::kInt64;
  const std::byte* data_ = nullptr;
  int64_t size_ = 0;
};

// A target for each logit, at any alignment; for softmax cross-entropy
// probabilities, of which a row need not add up to 1.
struct FloatTargets {
  ElementType type = ElementType::kFloat32;
  Pieces data;  // [rows * classes], in the loss's range
};

// The range of factors: within it no product of them leaves float64's.
inline constexpr double kMinFactor = 0x1p-100;
inline constexpr double kMaxFactor = 0x1p100;

// One batch; views that must outlive the call.
struct Batch {
  int64_t rows = 0;
  int64_t classes = 0;
  ElementType logits_type = ElementType::kFloat32;
  Pieces logits;  // [rows * classes]
  // Indices: [rows], each in [0, classes) or the ignore_index.
  std::variant<ClassIndices, FloatTargets> labels;
  // Multiply the rows' losses; [rows], each 0 or in the range of factors.
  // Empty: 1.
  absl::Span<const double> row_weights;
  // dL/d(row loss), which multiplies the rows' gradients; [rows], or [1] for
  // all; each 0 or, but for its sign, in the range of factors. Empty: 1.
  absl::Span<const double> upstream_gradient;
};

// Softmax cross-entropy. docs/numerics.md has the formula with all options.
struct SoftmaxCrossEntropy {
  // Rows with this label have loss 0 and gradient 0 and do not count. Only with
  // class indices.
  std::optional<int64_t> ignore_index = std::nullopt;
  // [classes], each 0 or in the range of factors. Empty: 1.
  absl::Span<const double> class_weights = {};
  double label_smoothing = 0.0;  // in [0, 1]
  double z_loss = 0.0;           // 0 or in the range of factors
  double logit_scale = 1.0;      // in [1e-6, 1e6]
  // z -> cap tanh(z / cap), before the scale; in [1e-6, 1e6]. None: z as it is.
  std::optional<double> logit_softcap = std::nullopt;
};

// Sigmoid cross-entropy; targets in [0, 1].
struct SigmoidCrossEntropy {
  // [classes], each 0 or in the range of factors. Empty: 1.
  absl::Span<const double> positive_weights = {};
  double label_smoothing = 0.0;  // towards 1/2; in [0, 1]
};

// Negative log-likelihood: the logits are log-probabilities already. Over class
// indices.
struct NegativeLogLikelihood {
  // Rows with this label have loss 0 and gradient 0 and do not count.
  std::optional<int64_t> ignore_index = std::nullopt;
  // [classes], each 0 or in the range of factors. Empty: 1.
  absl::Span<const double> class_weights = {};
};

// KL divergence from the student's softmax(z / T) to the teacher, times T^2;
// targets are the teacher's probabilities, in [0, 2^100], of which a row need
// not add up to 1, or its logits.
struct KlDivergence {
  double temperature = 1.0;         // T, in [1e-6, 1e6]
  bool targets_are_logits = false;  // finite or -inf, not all of a row -inf
};

// -w_y (1 - p_y)^gamma ln p_y, p = softmax(z). Over class indices.
struct SoftmaxFocal {
  double gamma = 2.0;  // 0 or in the range of factors
  // Rows with this label have loss 0 and gradient 0 and do not count.
  std::optional<int64_t> ignore_index = std::nullopt;
  // [classes], each 0 or in the range of factors. Empty: 1.
  absl::Span<const double> class_weights = {};
};

// RetinaNet's: a m^gamma c with the sigmoid cross-entropy c, m = 1 - p_t and a
// = alpha t + (1 - alpha) (1 - t); targets in [0, 1].
struct SigmoidFocal {
  double gamma = 2.0;                          // 0 or in the range of factors
  std::optional<double> alpha = std::nullopt;  // in [0, 1]; none: a = 1
};

// The mean over i != y of max(0, margin - z_y + z_i)^power. Over class indices.
struct MulticlassHinge {
  double margin = 1.0;  // in [-2^100, 2^100]
  int power = 1;        // 1 or 2
};

// The mean of (z - t)^2; targets are any finite numbers.
struct SquaredError {};

// Quadratic up to `delta`, linear beyond; targets are any finite numbers.
struct Huber {
  double delta = 1.0;  // in the range of factors, not 0
};

// The loss to compute, with its options. One member per loss of the catalogue.
using LossSpec =
    std::variant<SoftmaxCrossEntropy, SigmoidCrossEntropy,
                 NegativeLogLikelihood, KlDivergence, SoftmaxFocal,
                 SigmoidFocal, MulticlassHinge, SquaredError, Huber>;

enum class Reduction { kMean, kSum, kNone };

enum class NonFinitePolicy {
  kReject,     // NaN, +inf or a row of nothing but -inf: an error naming it
  kPropagate,  // IEEE results in that row; other rows untouched
};

// What holds for every loss.
struct LossOptions {
  Reduction reduction = Reduction::kMean;
  // Replaces the mean's denominator; in [1e-100, 1e100], only with kMean.
  std::optional<double> divisor;
  NonFinitePolicy non_finite_policy = NonFinitePolicy::kReject;
};

// Where results go: bytes at any alignment, exactly as long as said. An empty
// span: not wanted, and no work is done for it.
struct LossOutputs {
  absl::Span<std::byte> gradient;       // [rows * classes] of gradient_type
  absl::Span<std::byte> probabilities;  // [rows * classes] of the logits' type;
                                        // ignored rows' too
  absl::Span<std::byte> log_probabilities;  // [rows * classes] of the logits'
                                            // type; ignored rows' too
  absl::Span<std::byte> row_losses;         // [rows] of the logits' type
  absl::Span<std::byte> log_sum_exp;  // [rows] of the logits' type; ignored
                                      // rows' too
  absl::Span<std::byte> predictions;  // [rows] int64, lowest index on ties
  // Any type; none: the logits'.
  std::optional<ElementType> gradient_type;
};

// The batch's results that are single numbers.
struct LossSummary {
  std::optional<double> loss;  // absent for Reduction::kNone
  int64_t row_count = 0;       // rows not ignored
  int64_t correct_count = 0;   // of these, rows whose prediction is the label
  double divisor = 1.0;        // what the mean divided by; 1 otherwise
};

// Errors: InvalidArgument: a divisor out of its range or without the mean.
absl::Status CheckLossOptions(const LossOptions& options);

// Asked between blocks of rows, from several threads at once: an error stops
// the computation and is returned.
using StopCheck = absl::FunctionRef<absl::Status()>;

// Computes `spec` for every row of `batch`; rows are shared out over `pool`,
// and so are parts of long rows where there are fewer rows than threads.
//
//   loss_r = ln(sum_j exp(z_rj)) - z_ry        gradient_ri = p_ri - [i = y_r]
//
// without options; docs/numerics.md has the formula with all of them. The
// gradient is that of the reduced loss: over the divisor for kMean, and of each
// row's own loss for kNone.
//
// Shapes: as the structs above say, all sizes checked by the caller.
// Errors: InvalidArgument: a label, a target, a weight or an option out of its
//   range; an option that does not go with another; under kReject, NaN, +inf or
//   a row of nothing but -inf. The first offender is named. Outputs are then
//   unspecified.
//   Whatever `stop_check` returns.
// Edge cases: zero rows, or every row ignored: sum 0, mean NaN with divisor 0,
//   gradient 0. docs/numerics.md has the rest.
// Accuracy: results of float32, float16 and bfloat16 logits are correctly
//   rounded, of float64 or capped ones, and float64 gradients, within 1 ulp,
//   the loss to 2^-40; docs/numerics.md says how and where not.
// Threads: blocks until done; concurrent calls may share `pool`; the bits of
//   the results do not depend on it.
// Cost: reads the logits once from memory, writes the gradient once; scratch of
//   8 bytes per class and thread (16 for float64; 8 more with smoothing or
//   probabilities as targets, 16 for float64; up to 72 for capped logits), of
//   which the pool's threads keep 32 MiB in all.
absl::StatusOr<LossSummary> ComputeLoss(const LossSpec& spec,
                                        const LossOptions& options,
                                        const Batch& batch,
                                        const LossOutputs& outputs,
                                        ThreadPool& pool, StopCheck stop_check);

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_LOSS_H_
