#ifndef LOSSD_SERVER_COMPUTE_EXACT_ROW_SCRATCH_H_
#define LOSSD_SERVER_COMPUTE_EXACT_ROW_SCRATCH_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "server/compute/thread_pool.h"

namespace lossd::compute {

// The label of a row that has none: nothing is counted or differentiated.
inline constexpr int64_t kNoLabel = -1;

// One row to compute.
struct RowTask {
  const std::byte* logits = nullptr;  // [classes]
  int64_t classes = 0;
  int64_t label = kNoLabel;
  // The gradient is that of numerator / denominator times the row's loss.
  double numerator = 1.0;
  double denominator = 1.0;
  std::byte* gradient = nullptr;  // [classes] of the logits' type; null: none
  // Whether float32 gradients go past the caches; REQUIRES: aligned as floats.
  bool streams_gradient = false;
  // Where logits lie that are wanted next, as many; null: nowhere known.
  const std::byte* next_logits = nullptr;
  bool wants_log_sum_exp = false;
  bool wants_row_loss = false;  // rounded to the logits' type
  bool wants_prediction = false;
  // Whose idle threads help with a long row; null: none do.
  ThreadPool* pool = nullptr;
};

// The results of one row; NaN, all of them, where it is not finite.
struct RowResult {
  double loss = std::numeric_limits<double>::quiet_NaN();
  // Rounded once to the logits' type.
  double rounded_loss = std::numeric_limits<double>::quiet_NaN();
  double log_sum_exp = std::numeric_limits<double>::quiet_NaN();
  int64_t prediction = 0;
  bool correct = false;
  bool finite = false;  // no NaN, no +inf, at least one logit above -inf
};

// Long rows are worked on in spans of this many elements, which any thread may
// take; their sums are added in order. Some 15 us of work, and a whole number
// of chunks.
inline constexpr int64_t kSpan = 32768;

inline constexpr int64_t kPartialSums = 4;

// How often a rounding was not certain and the next way was taken, for tests.
struct SlowPaths {
  int64_t careful = 0;  // rows or chunks of a gradient
  int64_t exact = 0;
  int64_t ties = 0;  // decided by exact comparison
};

// Memory that a thread keeps from row to row and from call to call, so that no
// call allocates once its thread has seen a row as long.
struct RowScratch {
  std::vector<std::byte> gathered;  // a row that lay in pieces
  std::vector<double> exps;         // one per class, and padding
  std::vector<double> exps_low;
  std::vector<double> partial_sums;  // of a long row, kPartialSums per span
  SlowPaths slow_paths;

  // Room for kPartialSums of each span of a row.
  double* PartialSums(int64_t classes) {
    const size_t needed = (classes + kSpan - 1) / kSpan * kPartialSums;
    if (partial_sums.size() < needed) partial_sums.resize(needed);
    return partial_sums.data();
  }

  static RowScratch& OfThisThread() {
    thread_local RowScratch scratch;
    return scratch;
  }
};

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_EXACT_ROW_SCRATCH_H_
