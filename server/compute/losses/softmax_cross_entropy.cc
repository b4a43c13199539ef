#include "server/compute/losses/softmax_cross_entropy.h"

#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include <variant>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/compute/losses/softmax_cross_entropy.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/batch_checks.h"
#include "server/compute/exact/row-inl.h"
#include "server/compute/exact/row_scratch.h"
#include "server/compute/exact/row_task.h"
#include "server/compute/losses/wide_row-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// Gradients from this size on, about half a last-level cache, are written past
// the caches: whoever reads them next would not find them there, and the lines
// need not be read before they are written (docs/performance.md).
constexpr int64_t kStreamBytes = int64_t{16} << 20;

// The row that this thread most likely computes after `row` of [first, last):
// the other threads take the blocks that follow.
HWY_INLINE const std::byte* NextLogits(const LossJob<SoftmaxCrossEntropy>& job,
                                       int64_t row, int64_t first,
                                       int64_t last) {
  int64_t next = row + 1;
  if (next == last) next += (job.pool->threads() - 1) * (last - first);
  return next < job.end_row ? job.logits->RowInPlace(next) : nullptr;
}

// The task that all rows of the job have in common.
RowTask CommonTask(const LossJob<SoftmaxCrossEntropy>& job) {
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
  if (job.end_row - job.first_row < job.pool->threads()) task.pool = job.pool;
  return task;
}

// Sets what `row` is compared with; false where a target is out of its range.
bool SetTargets(const LossJob<SoftmaxCrossEntropy>& job, int64_t row,
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
void SetRow(const LossJob<SoftmaxCrossEntropy>& job, int64_t row,
            RowTask& task) {
  const int64_t row_bytes = task.classes * ElementBytes(task.type);
  task.gradient = GradientOf(job, row);
  task.probabilities = RowOf(job.outputs->probabilities, row, row_bytes);
  task.log_probabilities =
      RowOf(job.outputs->log_probabilities, row, row_bytes);
  task.row_weight = RowWeight(*job.batch, row);
  task.upstream = Upstream(*job.batch, row);
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

// What float64 arithmetic computes: all of a row of capped logits, or the
// float64 gradient of narrower ones, which then is not wanted of `task` any
// more.
template <typename T>
HWY_NOINLINE void ComputeWide(const LossJob<SoftmaxCrossEntropy>& job,
                              RowScratch& scratch, RowTask& task,
                              RowResult& result) {
  RowTask wide = task;
  wide.type = ElementType::kFloat64;
  wide.streams_gradient = false;
  if constexpr (!std::is_same_v<T, double>) {
    double* const logits = RowScratch::Room(scratch.wide_logits, task.classes);
    WidenRow<T>(task.logits, task.classes,
                std::numeric_limits<double>::infinity(), logits);
    wide.logits = reinterpret_cast<const std::byte*>(logits);
    wide.narrow_type = task.type;
  }
  if (job.loss->logit_softcap) {
    return ComputeCappedRow(wide, *job.loss->logit_softcap, scratch, result);
  }
  wide.probabilities = wide.log_probabilities = nullptr;
  wide.wants_log_sum_exp = wide.wants_row_loss = wide.wants_prediction = false;
  task.gradient = nullptr;
  RowResult unused;
  ComputeRow(wide, scratch, double(), unused);
}

template <typename T>
RowSums ComputeRows(const LossJob<SoftmaxCrossEntropy>& job, int64_t first,
                    int64_t last) {
  RowSums sums;
  RowScratch& scratch = RowScratch::OfThisThread();
  RowTask task = CommonTask(job);
  const bool is_capped = job.loss->logit_softcap.has_value();
  const bool is_wide =
      is_capped || (task.gradient_type == ElementType::kFloat64 &&
                    task.type != ElementType::kFloat64);
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
      if (HWY_UNLIKELY(is_wide && (is_capped || task.gradient != nullptr))) {
        ComputeWide<T>(job, scratch, task, result);
      }
      if (HWY_LIKELY(!is_capped)) ComputeRow(task, scratch, T(), result);
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

RowSums ComputeRowsOfType(const LossJob<SoftmaxCrossEntropy>& job,
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

namespace {

constexpr double kMinLogitScale = 1e-6;
constexpr double kMaxLogitScale = 1e6;
// The same for the cap.
constexpr double kMinSoftcap = 1e-6;
constexpr double kMaxSoftcap = 1e6;

}  // namespace

LossRules RulesOf(const SoftmaxCrossEntropy& loss) {
  return {.takes_indices = true,
          .takes_targets = true,
          .ignore_index = loss.ignore_index,
          .class_weights = loss.class_weights,
          .min_target = 0.0,
          .max_target = kMaxFactor,
          .target_range = "[0, 2^100]",
          .has_probabilities = true,
          .needs_possible_class = true,
          // Capped logits are finite whatever the scale.
          .logit_scale = loss.logit_softcap ? 1.0 : loss.logit_scale};
}

absl::Status CheckOptions(const SoftmaxCrossEntropy& loss, const Batch& batch) {
  if (!(loss.label_smoothing >= 0.0 && loss.label_smoothing <= 1.0)) {
    return OptionOutOfRange("label_smoothing", loss.label_smoothing, "[0, 1]");
  }
  if (!IsFactor(loss.z_loss)) {
    return OptionOutOfRange("z_loss", loss.z_loss, kFactorRange);
  }
  if (!(loss.logit_scale >= kMinLogitScale &&
        loss.logit_scale <= kMaxLogitScale)) {
    return OptionOutOfRange("logit_scale", loss.logit_scale, "[1e-06, 1e+06]");
  }
  if (loss.logit_softcap && !(*loss.logit_softcap >= kMinSoftcap &&
                              *loss.logit_softcap <= kMaxSoftcap)) {
    return OptionOutOfRange("logit_softcap", *loss.logit_softcap,
                            "[1e-06, 1e+06]");
  }
  if (absl::Status status = CheckFactors("class_weights", loss.class_weights);
      !status.ok()) {
    return status;
  }
  if (loss.ignore_index && std::holds_alternative<FloatTargets>(batch.labels)) {
    return IgnoreIndexWithTargets(*loss.ignore_index);
  }
  return absl::OkStatus();
}

HWY_EXPORT(ComputeRowsOfType);
HWY_EXPORT(TargetName);

RowSums ComputeRows(const LossJob<SoftmaxCrossEntropy>& job, int64_t first,
                    int64_t last) {
  return HWY_DYNAMIC_DISPATCH(ComputeRowsOfType)(job, first, last);
}

std::string_view SoftmaxCrossEntropyKernel() {
  return HWY_DYNAMIC_DISPATCH(TargetName)();
}

}  // namespace lossd::compute
#endif  // HWY_ONCE
