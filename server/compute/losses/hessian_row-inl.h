// Rows times their Hessians, for all losses. Included once per instruction set.
#if defined(LOSSD_SERVER_COMPUTE_LOSSES_HESSIAN_ROW_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_LOSSES_HESSIAN_ROW_INL_H_
#undef LOSSD_SERVER_COMPUTE_LOSSES_HESSIAN_ROW_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_LOSSES_HESSIAN_ROW_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <variant>
#include <vector>

#include "hwy/highway.h"
#include "server/compute/exact/row_scratch.h"
#include "server/compute/exact/vector_pair-inl.h"
#include "server/compute/losses/loss_job.h"
#include "server/compute/losses/wide_row-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// One row in float64. Arrays are [classes] and a chunk of room; what is read
// ends with zeros.
struct HessianRow {
  int64_t classes = 0;
  const double* logits = nullptr;  // neither NaN nor +inf
  double max = 0.0;                // the largest
  int64_t label = kNoLabel;        // without targets
  const double* targets = nullptr;
  double* vector = nullptr;  // v, finite; the kernel's to change
  Pair factor;  // row_weight upstream / divisor, which multiplies the Hessian
  double* product = nullptr;  // to fill
};

// Where a loss's rows are widened and their products narrowed.
template <typename Loss>
class HessianRows {
 public:
  explicit HessianRows(const HessianJob<Loss>& job)
      : job_(job),
        batch_(*job.rows.batch),
        rules_(RulesOf(*job.rows.loss)),
        scratch_(RowScratch::OfThisThread()) {
    row_.classes = batch_.classes;
    row_.product = RowScratch::Room(scratch_.exps_low, batch_.classes + kChunk);
  }

  // Fills the product of row `r`: `multiply` does that of a HessianRow.
  template <typename Multiply>
  HWY_INLINE void Compute(int64_t r, const Multiply& multiply, RowSums& sums) {
    if (const auto* labels = std::get_if<ClassIndices>(&batch_.labels)) {
      row_.label = (*labels)[r];
      if (row_.label == rules_.ignore_index) return FillWithZeros(r);
    } else if (!WidenTargets(r)) {
      if (sums.first_bad_target_row < 0) sums.first_bad_target_row = r;
      return;
    }
    if (!WidenInputs(r)) {
      if (sums.first_bad_row < 0) sums.first_bad_row = r;
      return FillWithNan(batch_.logits_type, batch_.classes, Out(r));
    }
    const double weight = RowWeight(batch_, r);
    const double upstream = Upstream(batch_, r);
    const double divisor = job_.rows.divisor;
    if (weight == 0.0 || upstream == 0.0 || divisor == 0.0) {
      return FillWithZeros(r);
    }
    row_.factor = Pair{weight, 0.0} * Pair{upstream, 0.0} / Pair{divisor, 0.0};
    multiply(row_);
    NarrowRow(batch_.logits_type, row_.product, batch_.classes, Out(r));
  }

 private:
  std::byte* Out(int64_t r) const { return GradientOf(job_.rows, r); }
  void FillWithZeros(int64_t r) const {
    std::memset(Out(r), 0, batch_.classes * ElementBytes(batch_.logits_type));
  }
  // A row and a chunk of zeros in `room`.
  RowRange Widen(ElementType type, const std::byte* from, double most,
                 std::vector<double>& room) const {
    double* const to = RowScratch::Room(room, batch_.classes + kChunk);
    const RowRange range = WidenRow(type, from, batch_.classes, most, to);
    std::fill_n(to + batch_.classes, kChunk, 0.0);
    return range;
  }
  // Whether all of them are in their range.
  bool WidenTargets(int64_t r) {
    const RowRange range =
        Widen(std::get<FloatTargets>(batch_.labels).type,
              job_.rows.targets->Row(r, scratch_.gathered_targets),
              rules_.max_target, scratch_.targets);
    row_.targets = scratch_.targets.data();
    // Teachers' logits may be -inf, but not all of a row.
    return range.in_range && range.min >= rules_.min_target &&
           !std::isinf(range.max);
  }
  // Whether logits and vector are such that there is a product.
  bool WidenInputs(int64_t r) {
    constexpr double kLargest = std::numeric_limits<double>::max();
    const RowRange logits =
        Widen(batch_.logits_type, job_.rows.logits->Row(r, scratch_.gathered),
              kLargest, scratch_.exps);
    const RowRange vector =
        Widen(batch_.logits_type, job_.vector->Row(r, scratch_.gathered),
              kLargest, scratch_.vector);
    row_.logits = scratch_.exps.data();
    row_.max = logits.max;
    row_.vector = scratch_.vector.data();
    const bool is_possible = !rules_.needs_possible_class ||
                             std::isfinite(logits.max * rules_.logit_scale);
    return logits.in_range && is_possible && vector.in_range &&
           vector.min >= -kLargest;
  }

  const HessianJob<Loss>& job_;
  const Batch& batch_;
  const LossRules rules_;
  RowScratch& scratch_;
  HessianRow row_;
};

// Rows [first, last) of a loss's products by `multiply`.
template <typename Loss, typename Multiply>
RowSums MultiplyEachRow(const HessianJob<Loss>& job, int64_t first,
                        int64_t last, const Multiply& multiply) {
  HessianRows<Loss> rows(job);
  RowSums sums;
  for (int64_t r = first; r < last; ++r) rows.Compute(r, multiply, sums);
  return sums;
}

// Fills the product of a row whose Hessian is diagonal, and the mean over its
// classes: `curvature(at)` is that of the classes from `at` on, times
// 2^scale_bits.
// Accuracy: curvature's and 2^-98, unless curvature times factor is subnormal.
template <typename Curvature>
HWY_INLINE void MultiplyDiagonal(const HessianRow& row, int scale_bits,
                                 const Curvature& curvature) {
  const Doubles d;
  const Pair factor = row.factor / Pair{static_cast<double>(row.classes), 0.0};
  // The factor takes the scale in two steps, so that neither is subnormal.
  const bool is_small = std::abs(factor.hi) < 0x1p-400;
  const double unscale = std::ldexp(1.0, -scale_bits);
  const VecPair factors =
      Broadcast(is_small ? factor : Scaled(factor, unscale));
  const double first_scale = is_small ? unscale : 1.0;
  for (int64_t i = 0; i < row.classes; i += kLanes) {
    const VecPair h = Mul(Scaled(curvature(i), first_scale), factors);
    const VecPair v = {hn::LoadU(d, row.vector + i), hn::Zero(d)};
    // + 0: where the curvature is 0, no product is -0.
    hn::StoreU(hn::Add(Rounded(Mul(h, v)), hn::Zero(d)), d, row.product + i);
  }
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
