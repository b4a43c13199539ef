#include "server/compute/losses/softmax_cross_entropy.h"

#include <cstring>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/compute/losses/softmax_cross_entropy.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/exact/row-inl.h"
#include "server/compute/exact/row_scratch.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// Stores `value` as element `index` of `out`, unless that is empty.
template <typename T>
HWY_INLINE void StoreAs(T value, int64_t index, absl::Span<std::byte> out) {
  if (out.empty()) return;
  std::memcpy(out.data() + index * static_cast<int64_t>(sizeof(T)), &value,
              sizeof(T));
}

// Gradients from this size on, about half a last-level cache, are written past
// the caches: whoever reads them next would not find them there, and the lines
// need not be read before they are written (docs/performance.md).
constexpr int64_t kStreamBytes = int64_t{16} << 20;

// The row that this thread most likely computes after `row` of [first, last):
// the other threads take the blocks that follow.
HWY_INLINE const std::byte* NextLogits(const SoftmaxCrossEntropyJob& job,
                                       int64_t row, int64_t first,
                                       int64_t last) {
  int64_t next = row + 1;
  if (next == last) next += (job.pool->threads() - 1) * (last - first);
  return next < job.batch->rows ? job.logits->RowInPlace(next) : nullptr;
}

template <typename T>
SoftmaxCrossEntropyCounts ComputeRows(const SoftmaxCrossEntropyJob& job,
                                      int64_t first, int64_t last,
                                      double* row_losses) {
  const LossOutputs& out = *job.outputs;
  const int64_t row_bytes =
      job.batch->classes * static_cast<int64_t>(sizeof(T));
  SoftmaxCrossEntropyCounts counts;
  RowScratch& scratch = RowScratch::OfThisThread();
  RowTask task;
  task.classes = job.batch->classes;
  task.denominator = job.divisor;
  // Rows enough for all threads go one to a thread: nobody waits for anybody.
  if (job.batch->rows < job.pool->threads()) task.pool = job.pool;
  task.wants_log_sum_exp = !out.log_sum_exp.empty();
  task.wants_row_loss = !out.row_losses.empty();
  task.wants_prediction = !out.predictions.empty();
  task.streams_gradient =
      static_cast<int64_t>(out.gradient.size()) >= kStreamBytes &&
      reinterpret_cast<uintptr_t>(out.gradient.data()) % alignof(T) == 0;
  for (int64_t row = first; row < last; ++row) {
    const int64_t label = job.batch->labels[row];
    const bool ignored = job.ignore_index == label;
    task.label = ignored ? kNoLabel : label;
    task.gradient =
        out.gradient.empty() ? nullptr : out.gradient.data() + row * row_bytes;
    RowResult result;
    if (ignored && task.gradient != nullptr) {
      std::memset(std::exchange(task.gradient, nullptr), 0, row_bytes);
    }
    if (!ignored || task.wants_log_sum_exp || task.wants_prediction) {
      task.logits = job.logits->Row(row, scratch.gathered);
      if (task.streams_gradient) {
        task.next_logits = NextLogits(job, row, first, last);
      }
      result = ComputeRow(task, scratch, T());
    }
    if (ignored) {
      result.loss = result.rounded_loss = 0.0;
    } else {
      counts.correct_count += result.correct;
      if (!result.finite && counts.first_bad_row < 0) {
        counts.first_bad_row = row;
      }
    }
    row_losses[row] = result.loss;
    StoreAs(static_cast<T>(result.rounded_loss), row, out.row_losses);
    StoreAs(static_cast<T>(result.log_sum_exp), row, out.log_sum_exp);
    StoreAs(result.prediction, row, out.predictions);
  }
  return counts;
}

SoftmaxCrossEntropyCounts ComputeRowsOfType(const SoftmaxCrossEntropyJob& job,
                                            int64_t first, int64_t last,
                                            double* row_losses) {
  switch (job.batch->logits_type) {
    case ElementType::kFloat32:
      return ComputeRows<float>(job, first, last, row_losses);
    case ElementType::kFloat64:
      return ComputeRows<double>(job, first, last, row_losses);
  }
  HWY_ABORT("unknown element type");
}

const char* TargetName() { return hwy::TargetName(HWY_TARGET); }

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd::compute {

HWY_EXPORT(ComputeRowsOfType);
HWY_EXPORT(TargetName);

SoftmaxCrossEntropyCounts ComputeSoftmaxCrossEntropyRows(
    const SoftmaxCrossEntropyJob& job, int64_t first, int64_t last,
    double* row_losses) {
  return HWY_DYNAMIC_DISPATCH(ComputeRowsOfType)(job, first, last, row_losses);
}

std::string_view SoftmaxCrossEntropyKernel() {
  return HWY_DYNAMIC_DISPATCH(TargetName)();
}

}  // namespace lossd::compute
#endif  // HWY_ONCE
