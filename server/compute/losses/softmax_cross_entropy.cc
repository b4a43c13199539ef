#include "server/compute/losses/softmax_cross_entropy.h"

#include <cstring>
#include <utility>
#include <variant>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/compute/losses/softmax_cross_entropy.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/exact/row-inl.h"
#include "server/compute/exact/row_scratch.h"
#include "server/compute/exact/row_task.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

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

// The task that all rows of the job have in common.
RowTask CommonTask(const SoftmaxCrossEntropyJob& job) {
  const LossOutputs& out = *job.outputs;
  RowTask task;
  task.type = job.batch->logits_type;
  task.classes = job.batch->classes;
  if (!job.loss->class_weights.empty()) {
    task.targets.class_weights = job.loss->class_weights.data();
  }
  task.targets.smoothing = job.loss->label_smoothing;
  task.scale = job.loss->logit_scale;
  task.z_loss = job.loss->z_loss;
  task.denominator = job.divisor;
  task.gradient_type = out.gradient_type.value_or(task.type);
  task.streams_gradient =
      task.gradient_type != ElementType::kFloat64 &&
      static_cast<int64_t>(out.gradient.size()) >= kStreamBytes &&
      reinterpret_cast<uintptr_t>(out.gradient.data()) %
              ElementBytes(task.gradient_type) ==
          0;
  task.wants_log_sum_exp = !out.log_sum_exp.empty();
  task.wants_row_loss = !out.row_losses.empty();
  task.wants_prediction = !out.predictions.empty();
  // Rows enough for all threads go one to a thread: nobody waits for anybody.
  if (job.batch->rows < job.pool->threads()) task.pool = job.pool;
  return task;
}

// Sets what `row` is compared with; false where a target is out of its range.
bool SetTargets(const SoftmaxCrossEntropyJob& job, int64_t row,
                RowScratch& scratch, RowTask& task) {
  if (job.targets == nullptr) {
    const int64_t label = std::get<ClassIndices>(job.batch->labels)[row];
    task.label = job.loss->ignore_index == label ? kNoLabel : label;
    return true;
  }
  task.targets.type = std::get<FloatTargets>(job.batch->labels).type;
  task.targets.probabilities = job.targets->Row(row, scratch.gathered_targets);
  return WithElementType(task.targets.type, [&](auto zero) {
    using Target = decltype(zero);
    const std::byte* values = task.targets.probabilities;
    const Maximum max =
        MaximumInRange<Target>(values, task.classes, 0.0, kMaxFactor);
    if (max.in_range) {
      task.label = FirstIndexOf<Target>(max.value, values, task.classes);
    }
    return max.in_range;
  });
}

// Sets where the results of `row` go, and by what they are multiplied.
void SetRow(const SoftmaxCrossEntropyJob& job, int64_t row, RowTask& task) {
  const auto slice = [&](absl::Span<std::byte> out,
                         ElementType type) -> std::byte* {
    if (out.empty()) return nullptr;
    return out.data() + row * task.classes * ElementBytes(type);
  };
  task.gradient = slice(job.outputs->gradient, task.gradient_type);
  task.probabilities = slice(job.outputs->probabilities, task.type);
  task.log_probabilities = slice(job.outputs->log_probabilities, task.type);
  const Batch& batch = *job.batch;
  if (!batch.row_weights.empty()) task.row_weight = batch.row_weights[row];
  if (!batch.upstream_gradient.empty()) {
    task.upstream =
        batch.upstream_gradient[batch.upstream_gradient.size() == 1 ? 0 : row];
  }
}

void StoreResult(const RowResult& result, ElementType type, int64_t row,
                 const LossOutputs& out) {
  if (!out.row_losses.empty()) {
    StoreElement(type, result.rounded_loss, out.row_losses.data(), row);
  }
  if (!out.log_sum_exp.empty()) {
    StoreElement(type, result.log_sum_exp, out.log_sum_exp.data(), row);
  }
  if (!out.predictions.empty()) {
    StoreElement(result.prediction, out.predictions.data(), row);
  }
}

template <typename T>
SoftmaxCrossEntropySums ComputeRows(const SoftmaxCrossEntropyJob& job,
                                    int64_t first, int64_t last) {
  SoftmaxCrossEntropySums sums;
  RowScratch& scratch = RowScratch::OfThisThread();
  RowTask task = CommonTask(job);
  for (int64_t row = first; row < last; ++row) {
    if (!SetTargets(job, row, scratch, task)) {
      if (sums.first_bad_target_row < 0) sums.first_bad_target_row = row;
      continue;
    }
    SetRow(job, row, task);
    const bool ignored = task.label == kNoLabel;
    if (ignored && task.gradient != nullptr) {
      std::memset(std::exchange(task.gradient, nullptr), 0,
                  task.classes * ElementBytes(task.gradient_type));
    }
    RowResult result;
    if (!ignored || task.wants_log_sum_exp || task.wants_prediction ||
        task.has_elements()) {
      task.logits = job.logits->Row(row, scratch.gathered);
      if (task.streams_gradient) {
        task.next_logits = NextLogits(job, row, first, last);
      }
      ComputeRow(task, scratch, T(), result);
    }
    if (ignored) {
      result.loss = result.rounded_loss = 0.0;
    } else {
      sums.correct_count += result.correct;
      if (!result.finite && sums.first_bad_row < 0) sums.first_bad_row = row;
    }
    sums.loss.Add(result.loss);
    StoreResult(result, task.type, row, *job.outputs);
  }
  return sums;
}

SoftmaxCrossEntropySums ComputeRowsOfType(const SoftmaxCrossEntropyJob& job,
                                          int64_t first, int64_t last) {
  return WithElementType(job.batch->logits_type, [&](auto zero) {
    return ComputeRows<decltype(zero)>(job, first, last);
  });
}

const char* TargetName() { return hwy::TargetName(HWY_TARGET); }

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd::compute {

HWY_EXPORT(ComputeRowsOfType);
HWY_EXPORT(TargetName);

SoftmaxCrossEntropySums ComputeSoftmaxCrossEntropyRows(
    const SoftmaxCrossEntropyJob& job, int64_t first, int64_t last) {
  return HWY_DYNAMIC_DISPATCH(ComputeRowsOfType)(job, first, last);
}

std::string_view SoftmaxCrossEntropyKernel() {
  return HWY_DYNAMIC_DISPATCH(TargetName)();
}

}  // namespace lossd::compute
#endif  // HWY_ONCE
