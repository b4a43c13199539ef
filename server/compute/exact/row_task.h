#ifndef LOSSD_SERVER_COMPUTE_EXACT_ROW_TASK_H_
#define LOSSD_SERVER_COMPUTE_EXACT_ROW_TASK_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include "server/compute/element_type.h"
#include "server/compute/thread_pool.h"

namespace lossd::compute {

// The label of a row that has none: nothing is counted or differentiated.
inline constexpr int64_t kNoLabel = -1;

// What a row's logits are compared with: weights q over the classes,
//
//   q_i = w_i ((1 - smoothing) t_i + smoothing / classes),
//
// t being the target's probabilities: 1 at the label and 0 elsewhere where none
// are given.
struct RowTargets {
  const double* class_weights = nullptr;  // w [classes]; null: 1
  double smoothing = 0.0;
  ElementType type = ElementType::kFloat32;
  const std::byte* probabilities = nullptr;  // t [classes]; null: none

  // Whether q is 0 but at the label.
  bool one_hot() const { return probabilities == nullptr && smoothing == 0.0; }
  // Whether q is the same everywhere but at the label.
  bool constant() const {
    return probabilities == nullptr && class_weights == nullptr;
  }
  // Whether q is 1 at the label, and 0 elsewhere.
  bool is_label() const { return one_hot() && class_weights == nullptr; }
  // Whether a q that is not 0 may be subnormal, or 0 in float64: weights are at
  // least 2^-100, and there are at most 2^40 classes.
  bool may_underflow() const {
    if (smoothing != 0.0) return smoothing < 0x1p-800;
    return probabilities != nullptr && type == ElementType::kFloat64;
  }
  double class_weight(int64_t i) const {
    return class_weights == nullptr ? 1.0 : class_weights[i];
  }
};

// Capped logits a_i = scale cap tanh(z_i / cap), which take the place of
// scale z_i; in pairs, and those of -inf stay -inf. As softcap-inl.h fills it.
struct CappedLogits {
  double cap = 1.0;
  double max = 0.0;  // the largest a_i
  double max_low = 0.0;
  // [classes] and a chunk of padding, -inf and 0:
  const double* below = nullptr;  // a_i - max
  const double* below_low = nullptr;
  const double* slopes = nullptr;  // 2^512 (1 - tanh^2(z_i / cap)); 0 for -inf
  const double* slopes_low = nullptr;
};

// One row to compute. With a_i = scale z_i, or capped:
//
//   lse = ln(sum_i exp(a_i))      p_i = exp(a_i - lse)
//   loss = row_weight (sum_i q_i (lse - a_i) + z_loss lse^2)
//   gradient_i = scale row_weight upstream / denominator
//                ((sum_j q_j + 2 z_loss lse) p_i - q_i)
//
// times the cap's slope where there is one.
struct RowTask {
  ElementType type = ElementType::kFloat32;  // of the logits
  const std::byte* logits = nullptr;         // z [classes]
  int64_t classes = 0;
  // The class that is kept apart from the others, so that what the others add
  // up to is known without cancellation: the target, or its largest class.
  int64_t label = kNoLabel;
  RowTargets targets;
  double scale = 1.0;
  const CappedLogits* capped = nullptr;  // only of float64; null: not capped
  double z_loss = 0.0;
  double row_weight = 1.0;
  double upstream = 1.0;
  double denominator = 1.0;  // 0: the gradient is 0

  ElementType gradient_type = ElementType::kFloat32;
  std::byte* gradient = nullptr;       // [classes]; null: not wanted
  std::byte* probabilities = nullptr;  // [classes] of `type`; null: not wanted
  std::byte* log_probabilities = nullptr;  // the same
  // What takes the place of `type` for these two: of widened logits.
  std::optional<ElementType> narrow_type = std::nullopt;
  // Whether gradients go past the caches, where they can; REQUIRES: aligned as
  // their elements, not float64.
  bool streams_gradient = false;
  // Where logits lie that are wanted next, as many; null: nowhere known.
  const std::byte* next_logits = nullptr;
  bool wants_log_sum_exp = false;
  bool wants_row_loss = false;  // rounded to `type`
  bool wants_prediction = false;
  // Whose idle threads help with a long row; null: none do.
  ThreadPool* pool = nullptr;

  ElementType probabilities_type() const { return narrow_type.value_or(type); }
  LOSSD_ALWAYS_INLINE double Logit(int64_t i) const {
    return LoadElement(type, logits, i);
  }
  // t_i.
  double Target(int64_t i) const {
    if (targets.probabilities == nullptr) return i == label ? 1.0 : 0.0;
    return LoadElement(targets.type, targets.probabilities, i);
  }
  // Whether q_i is not 0, also where float64 takes it for that.
  bool HasTarget(int64_t i) const {
    return targets.class_weight(i) != 0.0 &&
           (targets.smoothing != 0.0 || Target(i) != 0.0);
  }
  // Whether anything is wanted for each class.
  bool has_elements() const {
    return gradient != nullptr || probabilities != nullptr ||
           log_probabilities != nullptr;
  }
  bool has_gradient() const {
    return row_weight != 0.0 && upstream != 0.0 && denominator != 0.0;
  }
};

// The results of one row; NaN, all of them, where it is not finite.
struct RowResult {
  double loss = std::numeric_limits<double>::quiet_NaN();
  // Rounded once to the logits' type, which a double holds.
  double rounded_loss = std::numeric_limits<double>::quiet_NaN();
  double log_sum_exp = std::numeric_limits<double>::quiet_NaN();
  int64_t prediction = 0;
  bool correct = false;
  bool finite = false;  // no NaN, no +inf, at least one logit above -inf
};

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_EXACT_ROW_TASK_H_
