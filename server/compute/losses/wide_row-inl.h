// A row of any type widened to float64, and its results narrowed: for the
// losses that are computed in pairs. Included once per instruction set.
#if defined(LOSSD_SERVER_COMPUTE_LOSSES_WIDE_ROW_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_LOSSES_WIDE_ROW_INL_H_
#undef LOSSD_SERVER_COMPUTE_LOSSES_WIDE_ROW_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_LOSSES_WIDE_ROW_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <variant>

#include "hwy/highway.h"
#include "server/compute/exact/chunks-inl.h"
#include "server/compute/exact/double_double-inl.h"
#include "server/compute/exact/rounding-inl.h"
#include "server/compute/exact/row_scratch.h"
#include "server/compute/exact/search-inl.h"
#include "server/compute/losses/loss_job.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// What a row holds.
struct RowRange {
  double max;
  double min;
  bool
      in_range;  // neither NaN nor above `most`; then `max` and `min` are right
};

// Fills to[0 .. size) with the elements of `from`, exactly, and looks at them.
template <typename T>
HWY_INLINE RowRange WidenRow(const std::byte* from, int64_t size, double most,
                             double* to) {
  const Doubles d;
  const T* const p = reinterpret_cast<const T*>(from);
  const VecD mosts = hn::Set(d, most);
  VecD max = hn::Neg(hn::Inf(d)), min = hn::Inf(d);
  auto ok = hn::Le(max, mosts);
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    const VecD x = LoadAsDouble(p + i);
    hn::StoreU(x, d, to + i);
    max = hn::Max(max, x);
    min = hn::Min(min, x);
    ok = hn::And(ok, hn::Le(x, mosts));  // false for NaN, too
  }
  RowRange range = {hn::GetLane(hn::MaxOfLanes(d, max)),
                    hn::GetLane(hn::MinOfLanes(d, min)), hn::AllTrue(d, ok)};
  for (; i < size; ++i) {
    const double x = ToDouble(LoadElement<T>(from, i));
    to[i] = x;
    if (!(x <= most)) range.in_range = false;
    range.max = std::max(range.max, x);
    range.min = std::min(range.min, x);
  }
  return range;
}
inline HWY_NOINLINE RowRange WidenRow(ElementType type, const std::byte* from,
                                      int64_t size, double most, double* to) {
  return WithElementType(type, [&](auto zero) HWY_ATTR {
    return WidenRow<decltype(zero)>(from, size, most, to);
  });
}

// Fills `to` with from[0 .. size), rounded.
inline HWY_NOINLINE void NarrowRow(ElementType type, const double* from,
                                   int64_t size, std::byte* to) {
  if (type == ElementType::kFloat64) {
    std::memcpy(to, from, size * sizeof(double));
    return;
  }
  int64_t i = 0;
  if (type == ElementType::kFloat32) {
    for (; i + kLanes <= size; i += kLanes) {
      hn::StoreU(ToFloats(hn::LoadU(Doubles(), from + i)), Floats(),
                 reinterpret_cast<float*>(to) + i);
    }
  }
  for (; i < size; ++i) StoreElement(type, from[i], to, i);
}

// One row of a job, with room for its gradient in float64.
class WideRow {
 public:
  template <typename Loss>
  WideRow(const LossJob<Loss>& job, int64_t row, RowScratch& scratch)
      : batch_(*job.batch),
        out_(*job.outputs),
        row_(row),
        classes_(batch_.classes),
        logits_(RowScratch::Room(scratch.exps, classes_ + kChunk)),
        gradient_(RowScratch::Room(scratch.exps_low, classes_ + kChunk)) {
    range_ =
        WidenRow(batch_.logits_type, job.logits->Row(row, scratch.gathered),
                 classes_, std::numeric_limits<double>::max(), logits_);
    std::fill_n(logits_ + classes_, kChunk, 0.0);
    weight_ = RowWeight(batch_, row);
    const double upstream = Upstream(batch_, row);
    has_gradient_ = weight_ != 0.0 && upstream != 0.0 && job.divisor != 0.0;
    if (has_gradient_) {
      factor_ =
          Pair{weight_, 0.0} * Pair{upstream, 0.0} / Pair{job.divisor, 0.0};
    }
  }

  // Neither NaN nor +inf is among the logits.
  bool in_range() const { return range_.in_range; }
  double max() const { return range_.max; }
  const RowRange& range() const { return range_; }
  // -inf is, or what is not in range.
  bool has_infinite() const { return !(range_.min > -HUGE_VAL); }
  // [classes] and a chunk of zeros.
  const double* logits() const { return logits_; }
  // [classes] and a chunk of room; null where no gradient is wanted, or it is
  // 0.
  double* gradient() {
    return out_.gradient.empty() || !has_gradient_ ? nullptr : gradient_;
  }
  // row_weight upstream / divisor; 0 where that makes no gradient.
  Pair factor() const { return factor_; }

  // Writes the results, the row's loss being `loss` before its weight, and
  // returns the prediction.
  HWY_NOINLINE void Finish(Pair loss, RowSums& sums) {
    if (std::byte* out = GradientOut(); out != nullptr) {
      if (!has_gradient_) std::fill_n(gradient_, classes_, 0.0);
      NarrowRow(gradient_type(), gradient_, classes_, out);
    }
    double rounded = 0.0, wide = 0.0;
    // 0 times an infinite loss is 0.
    if (weight_ != 0.0 && std::isinf(loss.hi)) {
      wide = rounded = loss.hi;
    } else if (weight_ != 0.0) {
      const Pair weighted = loss * Pair{weight_, 0.0};
      wide = std::isinf(weighted.hi) ? weighted.hi : weighted.hi + weighted.lo;
      rounded = std::isinf(wide) ? wide : RoundTo(batch_.logits_type, weighted);
    }
    Store(wide, rounded, sums);
  }

  // Writes the results of a row with NaN or +inf.
  HWY_NOINLINE void FinishUndefined(RowSums& sums) {
    if (sums.first_bad_row < 0) sums.first_bad_row = row_;
    if (std::byte* out = GradientOut(); out != nullptr) {
      FillWithNan(gradient_type(), classes_, out);
    }
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    Store(kNan, kNan, sums);
  }

  // Writes the results of a row that does not count.
  HWY_NOINLINE void FinishIgnored(RowSums& sums) {
    if (std::byte* out = GradientOut(); out != nullptr) {
      std::memset(out, 0, classes_ * ElementBytes(gradient_type()));
    }
    Store(0.0, 0.0, sums);
  }

  int64_t Prediction() const {
    if (range_.in_range) {
      return FirstIndexOf<double>(range_.max, bytes(), classes_);
    }
    RowTask task;
    task.type = ElementType::kFloat64;
    task.logits = bytes();
    task.classes = classes_;
    return PredictionOfNonFiniteRow(task);
  }

 private:
  const std::byte* bytes() const {
    return reinterpret_cast<const std::byte*>(logits_);
  }
  ElementType gradient_type() const {
    return out_.gradient_type.value_or(batch_.logits_type);
  }
  std::byte* GradientOut() const {
    return RowOf(out_.gradient, row_, classes_ * ElementBytes(gradient_type()));
  }
  void Store(double loss, double rounded, RowSums& sums) const {
    sums.loss.Add(loss);
    if (!out_.row_losses.empty()) {
      StoreElement(batch_.logits_type, rounded, out_.row_losses.data(), row_);
    }
    if (!out_.predictions.empty()) {
      StoreElement(Prediction(), out_.predictions.data(), row_);
    }
  }

  const Batch& batch_;
  const LossOutputs& out_;
  const int64_t row_;
  const int64_t classes_;
  double* const logits_;
  double* const gradient_;
  RowRange range_;
  double weight_ = 1.0;
  bool has_gradient_ = false;
  Pair factor_;
};

// Rows [first, last) of a loss over class indices: `compute(row, label)` fills
// a WideRow's gradient and returns its loss before the row's weight.
template <typename Loss, typename Compute>
RowSums ComputeIndexedRows(const LossJob<Loss>& job, int64_t first,
                           int64_t last, const Compute& compute) {
  const LossRules rules = RulesOf(*job.loss);
  const auto& labels = std::get<ClassIndices>(job.batch->labels);
  RowScratch& scratch = RowScratch::OfThisThread();
  RowSums sums;
  for (int64_t row = first; row < last; ++row) {
    WideRow wide(job, row, scratch);
    const int64_t label = labels[row];
    if (label == rules.ignore_index) {
      wide.FinishIgnored(sums);
      continue;
    }
    sums.correct_count += wide.Prediction() == label;
    const bool is_possible =
        !rules.needs_possible_class || !std::isinf(wide.max());
    if (wide.in_range() && is_possible) {
      wide.Finish(compute(wide, label), sums);
    } else {
      wide.FinishUndefined(sums);
    }
  }
  return sums;
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
