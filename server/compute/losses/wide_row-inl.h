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
#include "server/compute/losses/row_outputs-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// What a row holds.
struct RowRange {
  double max;
  double min;
  // Neither NaN nor above `most`; then `max` and `min` are right.
  bool in_range;

  // -inf is among it, or what is not in range.
  bool has_infinite() const { return !(min > -HUGE_VAL); }
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

// The classes of a row that are worked on together: in float64 their logits,
// targets and gradient stay in the first cache. A whole number of chunks.
inline constexpr int64_t kTile = 1024;

// Calls compute(begin, size, range, logits, gradient) for each tile of the row,
// with its logits in float64, zeros up to a whole chunk, and room for as much
// of its gradient, which is then rounded and written; null where none is
// wanted. Returns what the row holds; ends with the first tile out of range,
// which is not computed.
template <typename Compute>
HWY_INLINE RowRange ForEachTile(const RowOutputs& row, RowScratch& scratch,
                                const Compute& compute) {
  const ElementType type = row.type(), gradient_type = row.gradient_type();
  std::byte* const out = row.gradient();
  double* const logits = RowScratch::Room(scratch.exps, kTile + kChunk);
  double* const gradient =
      out == nullptr ? nullptr
                     : RowScratch::Room(scratch.exps_low, kTile + kChunk);
  RowRange row_range = {-HUGE_VAL, HUGE_VAL, true};
  for (int64_t begin = 0; begin < row.classes(); begin += kTile) {
    const int64_t size = std::min(kTile, row.classes() - begin);
    const RowRange range =
        WidenRow(type, row.logits() + begin * ElementBytes(type), size,
                 std::numeric_limits<double>::max(), logits);
    row_range.max = std::max(row_range.max, range.max);
    row_range.min = std::min(row_range.min, range.min);
    row_range.in_range = range.in_range;
    if (!range.in_range) break;
    std::fill_n(logits + size, kChunk, 0.0);
    compute(begin, size, range, logits, gradient);
    if (out != nullptr) {
      NarrowRow(gradient_type, gradient, size,
                out + begin * ElementBytes(gradient_type));
    }
  }
  return row_range;
}

// One row of a job, its logits and room for its gradient in float64.
class WideRow {
 public:
  WideRow(const RowOutputs& outputs, RowScratch& scratch)
      : outputs_(outputs),
        classes_(outputs.classes()),
        logits_(RowScratch::Room(scratch.exps, classes_ + kChunk)),
        gradient_(RowScratch::Room(scratch.exps_low, classes_ + kChunk)),
        range_(WidenRow(outputs.type(), outputs.logits(), classes_,
                        std::numeric_limits<double>::max(), logits_)) {
    std::fill_n(logits_ + classes_, kChunk, 0.0);
  }

  // Neither NaN nor +inf is among the logits.
  bool in_range() const { return range_.in_range; }
  double max() const { return range_.max; }
  const RowRange& range() const { return range_; }
  // -inf is, or what is not in range.
  bool has_infinite() const { return range_.has_infinite(); }
  // [classes] and a chunk of zeros.
  const double* logits() const { return logits_; }
  // [classes] and a chunk of room; null where no gradient is wanted, or it is
  // 0.
  double* gradient() {
    return outputs_.gradient() == nullptr ? nullptr : gradient_;
  }
  // row_weight upstream / divisor; 0 where that makes no gradient.
  Pair factor() const { return outputs_.factor(); }

  // Writes the gradient, rounded.
  void WriteGradient() const {
    if (std::byte* out = outputs_.gradient(); out != nullptr) {
      NarrowRow(outputs_.gradient_type(), gradient_, classes_, out);
    }
  }

 private:
  const RowOutputs& outputs_;
  const int64_t classes_;
  double* const logits_;
  double* const gradient_;
  const RowRange range_;
};

// For rows of losses that have no other way: nothing is computed.
struct NoNarrowWay {
  bool operator()(const RowOutputs&, int64_t, RowScratch&, RowSums&) const {
    return false;
  }
};

// Rows [first, last) of a loss over class indices. `compute_narrow(outputs,
// label, scratch, sums)` is asked first where no result is float64: it does the
// whole row, or returns false. `compute(row, label)` fills a WideRow's
// gradient and returns its loss before the row's weight.
template <typename Loss, typename Compute, typename ComputeNarrow = NoNarrowWay>
RowSums ComputeIndexedRows(const LossJob<Loss>& job, int64_t first,
                           int64_t last, const Compute& compute,
                           const ComputeNarrow& compute_narrow = {}) {
  const LossRules rules = RulesOf(*job.loss);
  const auto& labels = std::get<ClassIndices>(job.batch->labels);
  RowScratch& scratch = RowScratch::OfThisThread();
  RowSums sums;
  for (int64_t r = first; r < last; ++r) {
    const RowOutputs outputs(job, r, scratch);
    const int64_t label = labels[r];
    if (label == rules.ignore_index) {
      outputs.FinishIgnored(sums);
      continue;
    }
    if (outputs.is_narrow() && compute_narrow(outputs, label, scratch, sums)) {
      continue;
    }
    WideRow row(outputs, scratch);
    const bool is_possible =
        !rules.needs_possible_class || !std::isinf(row.max());
    if (!row.in_range() || !is_possible) {
      sums.correct_count += outputs.Prediction() == label;
      outputs.FinishUndefined(sums);
      continue;
    }
    const Pair loss = compute(row, label);
    row.WriteGradient();
    outputs.Finish(loss, label, row.max(), sums);
  }
  return sums;
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
