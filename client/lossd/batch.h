// What goes into a loss and what comes out: views and plain numbers.
#ifndef LOSSD_CLIENT_LOSSD_BATCH_H_
#define LOSSD_CLIENT_LOSSD_BATCH_H_

#include <cstdint>
#include <optional>

#include "absl/types/span.h"

namespace lossd {

// One batch; views that must outlive the call. T is float or double.
//
// A tensor of any rank with its classes on any axis, as (N, C, d1, ...):
// `inner` is the product of the axes after that one, and `rows` of all others.
// Row r has its class c at [r / inner, c, r % inner]. What there is of each row
// comes in the rows' order, and what there is of each logit lies as the logits
// do.
template <typename T>
struct Batch {
  int64_t rows = 0;                 // a multiple of inner
  int64_t classes = 0;              // >= 1
  int64_t inner = 1;                // >= 1; 1: the class axis is the last
  absl::Span<const T> logits = {};  // [rows / inner, classes, inner]
  // Exactly one of these two, as the loss takes them; with no rows, neither.
  absl::Span<const int64_t> labels = {};  // [rows], indices in [0, classes)
  absl::Span<const T> targets = {};       // as the logits
  // Weights or a mask for the rows' losses, each >= 0; [rows], or empty.
  absl::Span<const double> row_weights = {};
  // dL/d(row loss), for gradients; [rows], [1] unless kNone, or empty.
  absl::Span<const double> upstream_gradient = {};
};

// Where the results go, each exactly as long as said. An empty span: not
// wanted, neither computed nor sent. T is the logits' type, G the gradient's:
// float or double, whatever T; it rounds the gradient alone.
template <typename T, typename G = T>
struct LossOutputs {
  absl::Span<G> gradient = {};           // as the logits
  absl::Span<T> row_losses = {};         // [rows], nats
  absl::Span<T> log_sum_exp = {};        // [rows], ln sum_j exp(z_j)
  absl::Span<T> probabilities = {};      // as the logits
  absl::Span<T> log_probabilities = {};  // as the logits
  absl::Span<int64_t> predictions = {};  // [rows], lowest index on ties
};

// The results that are single numbers.
struct LossSummary {
  std::optional<double> loss;  // nats; absent for Reduction::kNone
  int64_t row_count = 0;       // rows that counted: not ignored
  int64_t correct_count = 0;   // of these, rows whose prediction is the label
  double divisor = 1.0;        // what the mean divided by; 1 otherwise
};

}  // namespace lossd

#endif  // LOSSD_CLIENT_LOSSD_BATCH_H_
