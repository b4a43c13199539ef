// What the fast pass over a row finds, how exact it is, and where it starts
// from. Included once per instruction set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_FAST_ROW_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_FAST_ROW_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_FAST_ROW_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_FAST_ROW_INL_H_
#endif

#include <algorithm>
#include <cmath>

#include "hwy/highway.h"
#include "server/compute/exact/chunks-inl.h"
#include "server/compute/exact/exp-inl.h"
#include "server/compute/exact/fast_sums-inl.h"
#include "server/compute/exact/row_scratch.h"
#include "server/compute/exact/row_task.h"
#include "server/compute/exact/search-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// How far above the offset, which is a logit, the maximum may lie: exponentials
// and their sums stay far from overflow, and what FastExp takes for 0 is below
// 2^-700 of the maximum's.
inline constexpr double kMaxAboveOffset = 200.0;

// What the fast pass found, and how exact it is.
struct FastRow {
  double offset = 0.0;
  double others = 0.0;   // sum of exp(x_j) over j != label
  double label = 0.0;    // exp(x_label); 0 without a label
  double largest = 0.0;  // logit
  double smallest = 0.0;
  double exp_error = 0.0;     // relative, of each exponential
  double sum_error = 0.0;     // relative, of sum()
  double others_error = 0.0;  // relative, of others
  double label_error = 0.0;   // relative, of the label's exponential

  double sum() const { return others + label; }
  // How far above the offset a logit lies; of a product that is no double, too.
  double Above(const RowTask& task, double logit) const {
    return std::fma(task.scale, logit, 0.0 - offset);
  }
};

// The relative error of an exponential, for |x| <= size. Unless x is the logit
// itself, it is rounded, too.
HWY_INLINE double FastExpError(double size, bool is_logit) {
  const double per_nat = is_logit ? 0.35 : 1.4;
  return (2.5 + std::min(size, -kFastLow) * per_nat) * 0x1p-53;
}

// Errors of exponentials further below the largest than this, which is ln of
// 2^40 classes and 8, add less to their sum's than 1/50 of what the largest
// may.
inline constexpr double kSeenBelowLargest = 36.0;

// What their sum has beside that: 17 roundings (docs/numerics.md).
inline constexpr double kFastSumError = 17.5 * 0x1p-53;

// An offset from the first chunk: near the maximum for most rows, and found
// without a pass of its own. 0, which spares the subtraction and its rounding,
// unless the first finite logit is far from it; 0 where there is none.
template <typename T>
HWY_INLINE double OffsetFrom(const RowTask& task) {
  for (int64_t i = 0; i < std::min(task.classes, kChunk); ++i) {
    const double a = ToDouble(LoadElement<T>(task.logits, i)) * task.scale;
    if (std::isfinite(a)) return std::abs(a) <= 0.5 * kMaxAboveOffset ? 0.0 : a;
  }
  return 0.0;
}

template <bool kPlain, typename T>
HWY_INLINE void TryFast(const RowTask& task, double offset, RowScratch& scratch,
                        FastRow& row) {
  // Log-probabilities need no exponentials, but room where these are.
  const bool keeps = task.gradient != nullptr || task.probabilities != nullptr;
  const FastSums sums =
      keeps ? SumRowFast<true, kPlain, T>(task, offset, scratch)
            : SumRowFast<false, kPlain, T>(task, offset, scratch);
  row.offset = offset;
  row.others = sums.others;
  row.largest = sums.largest;
  row.smallest = sums.smallest;
  row.label = 0.0;
  // Not kPlain, which depends on the row before: the bits must not.
  const bool is_logit = offset == 0.0 && task.scale == 1.0;
  const double above = row.Above(task, row.largest);
  const double below = -row.Above(task, row.smallest);
  row.exp_error = FastExpError(std::max(above, below), is_logit);
  row.sum_error =
      kFastSumError +
      FastExpError(std::max(above, std::min(below, kSeenBelowLargest - above)),
                   is_logit);
  row.others_error = row.sum_error;
  if (task.label != kNoLabel) {
    const double logit = ToDouble(LoadElement<T>(task.logits, task.label));
    const double x = std::fma(logit, task.scale, 0.0 - offset);
    row.label = hn::GetLane(FastExp(hn::Set(Doubles(), x)));
    row.label_error = FastExpError(std::abs(x), is_logit);
    // The largest of the others may be far below the label.
    if (logit == row.largest) {
      row.others_error = kFastSumError + row.exp_error;
    }
  }
}

// Whether the sums are what they say: only with finite logits, not too far
// above the offset.
HWY_INLINE bool Holds(const RowTask& task, const FastRow& row) {
  return std::isfinite(row.sum()) &&
         std::abs(row.Above(task, row.largest)) <= kMaxAboveOffset;
}

// The fast pass again, from the row's maximum where that is far from `offset`;
// false for a row that is not finite, or that lies so far from 0 that float64
// has no offset near its scaled maximum.
template <typename T>
HWY_NOINLINE bool RunFastAgain(const RowTask& task, double offset,
                               RowScratch& scratch, FastRow& row) {
  const Maximum max = MaximumOfRow<T>(task);
  if (!max.in_range) return false;
  if (!(std::abs(std::fma(task.scale, max.value, 0.0 - offset)) <=
        kMaxAboveOffset)) {
    offset = task.scale * max.value;
  }
  TryFast<false, T>(task, offset, scratch, row);
  scratch.low_logits = row.smallest < kPlainLow;
  return Holds(task, row);
}

// The same with an offset or a scale, or where the last row had low logits.
template <typename T>
HWY_NOINLINE bool RunFastShifted(const RowTask& task, double offset,
                                 RowScratch& scratch, FastRow& row) {
  TryFast<false, T>(task, offset, scratch, row);
  scratch.low_logits = row.smallest < kPlainLow;
  return Holds(task, row) || RunFastAgain<T>(task, offset, scratch, row);
}

// The fast pass; false as RunFastAgain. What it finds is not
// returned but filled in: copies of what was just stored piece by piece stall.
template <typename T>
HWY_INLINE bool RunFast(const RowTask& task, RowScratch& scratch,
                        FastRow& row) {
  const double offset = OffsetFrom<T>(task);
  if (HWY_UNLIKELY(offset != 0.0 || task.scale != 1.0 || scratch.low_logits)) {
    return RunFastShifted<T>(task, offset, scratch, row);
  }
  TryFast<true, T>(task, offset, scratch, row);
  return HWY_LIKELY(Holds(task, row) && row.smallest >= kPlainLow) ||
         RunFastAgain<T>(task, offset, scratch, row);
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
