#include "server/compute/losses/multiclass_hinge.h"

#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/compute/losses/multiclass_hinge.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/batch_checks.h"
#include "server/compute/exact/fast_sums-inl.h"
#include "server/compute/exact/slow_sums-inl.h"
#include "server/compute/exact/vector_pair-inl.h"
#include "server/compute/losses/wide_row-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

namespace {

struct HingeSums {
  Pair terms;   // of h^power over i != y
  Pair slopes;  // of their derivatives
};

// Also fills gradient[0 .. size) with the derivatives times `factor`, unless it
// is null. An infinite distance is no term: the caller has those.
HWY_NOINLINE HingeSums SumHinges(const MulticlassHinge& loss, const double* z,
                                 int64_t size, int64_t label, Pair factor,
                                 double* gradient) {
  const Doubles d;
  const VecD zero = hn::Zero(d);
  const VecD minus_label = hn::Set(d, -z[label]);
  const VecPair margin = PairOf(loss.margin);
  const VecPair factors = Broadcast(factor);
  VecPair terms[kVectors], slopes[kVectors];
  for (auto& sum : terms) sum = PairOf(0.0);
  for (auto& sum : slopes) sum = PairOf(0.0);
  const auto add = [](VecPair term, VecPair& sum) HWY_ATTR {
    const VecPair high = TwoSum(sum.hi, term.hi);
    sum = FastTwoSum(high.hi, hn::Add(high.lo, hn::Add(sum.lo, term.lo)));
  };
  for (int64_t i = 0; i < size; i += kChunk) {
    for (int64_t v = 0; v < kVectors; ++v) {
      const int64_t at = i + v * kLanes;
      const VecD logits = hn::LoadU(d, z + at);
      const auto counts =
          hn::And(hn::And(IsBelow(size - i, v), IsNot(label, i, v)),
                  hn::Gt(logits, hn::Neg(hn::Inf(d))));
      const VecPair hinge =
          Add(TwoSum(hn::IfThenElseZero(counts, logits), minus_label), margin);
      const auto open = hn::And(counts, hn::Gt(hinge.hi, zero));
      const VecPair h = ZeroUnless(open, hinge);
      const VecPair slope =
          loss.power == 2 ? Scaled(h, 2.0) : ZeroUnless(open, PairOf(1.0));
      add(loss.power == 2 ? Mul(h, h) : h, terms[v]);
      add(slope, slopes[v]);
      if (gradient != nullptr) {
        hn::StoreU(Rounded(Mul(slope, factors)), d, gradient + at);
      }
    }
  }
  return {SumOfLanes(terms), SumOfLanes(slopes)};
}

// The same of a tile of a narrow row in float64, the row's label being
// `label_logit` and class `label` of the tile, or none.
template <int kPower>
HWY_NOINLINE HingeSums SumNarrowHinges(const double* z, int64_t size,
                                       int64_t label, double label_logit,
                                       double margin, double factor,
                                       double* gradient) {
  const Doubles d;
  const VecD zero = hn::Zero(d);
  const VecD minus_label = hn::Set(d, -label_logit);
  const VecD margins = hn::Set(d, margin);
  const VecD slope_factor = hn::Set(d, kPower * factor);
  VecD terms[kVectors], slopes[kVectors];
  for (auto& sum : terms) sum = zero;
  for (auto& sum : slopes) sum = zero;
  for (int64_t i = 0; i < size; i += kChunk) {
    const bool special = size - i < kChunk || Holds(i, kChunk, label);
    for (int64_t v = 0; v < kVectors; ++v) {
      const VecD logits = hn::LoadU(d, z + i + v * kLanes);
      const VecD distance = hn::Add(logits, minus_label);
      VecD hinge = hn::Add(distance, margins);
      // Where the margin cancels what the distance was rounded by counts.
      const auto doubt = hn::Lt(
          hn::Abs(hinge), hn::Mul(hn::Abs(distance), hn::Set(d, 0x1p-20)));
      if (HWY_UNLIKELY(!hn::AllFalse(d, doubt))) {
        // -inf is in no doubt, and would be NaN here.
        const VecPair exact =
            Add(TwoSum(logits, minus_label), VecPair{margins, zero});
        hinge = hn::IfThenElse(doubt, Rounded(exact), hinge);
      }
      auto open = hn::Gt(hinge, zero);
      if (HWY_UNLIKELY(special)) {
        open = hn::And(open, hn::And(IsBelow(size - i, v), IsNot(label, i, v)));
      }
      const VecD h = hn::IfThenElseZero(open, hinge);
      const VecD slope =
          kPower == 2 ? h : hn::IfThenElseZero(open, hn::Set(d, 1.0));
      terms[v] =
          kPower == 2 ? FusedMulAdd(h, h, terms[v]) : hn::Add(terms[v], h);
      slopes[v] = hn::Add(slopes[v], slope);
      if (gradient != nullptr) {
        hn::StoreU(hn::Mul(slope, slope_factor), d, gradient + i + v * kLanes);
      }
    }
  }
  return {{SumByHalving(terms), 0.0}, {kPower * SumByHalving(slopes), 0.0}};
}

// A narrow row, a tile at a time; false for rows that are special.
HWY_NOINLINE bool ComputeNarrowRow(const MulticlassHinge& loss,
                                   const RowOutputs& row, int64_t label,
                                   RowScratch& scratch, RowSums& sums) {
  const double z = row.Logit(label);
  if (row.classes() == 1 || std::isinf(z)) return false;
  const Pair others = {static_cast<double>(row.classes() - 1), 0.0};
  const double factor = (row.factor() / others).hi;
  HingeSums total;
  const RowRange range = ForEachTile(
      row, scratch,
      [&](int64_t begin, int64_t size, const RowRange&, const double* logits,
          double* gradient) {
        const auto sum =
            loss.power == 2 ? SumNarrowHinges<2> : SumNarrowHinges<1>;
        const HingeSums part =
            sum(logits, size, label - begin, z, loss.margin, factor, gradient);
        total = {total.terms + part.terms, total.slopes + part.slopes};
      });
  if (!range.in_range) return false;
  if (std::byte* gradient = row.gradient(); gradient != nullptr) {
    // Nothing open is +0.
    StoreElement(row.gradient_type(), 0.0 - total.slopes.hi * factor, gradient,
                 label);
  }
  row.Finish(total.terms / others, label, range.max, sums);
  return true;
}

// The row of an impossible label: every possible class is infinitely far above.
Pair ImpossibleLabel(const MulticlassHinge& loss, const double* z, int64_t size,
                     int64_t label, Pair factor, double* gradient) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double slope = loss.power == 2 ? kInfinity : 1.0;
  double above = 0.0;
  for (int64_t i = 0; i < size; ++i) {
    const bool open = !std::isinf(z[i]);
    above += open;
    if (gradient != nullptr) gradient[i] = open ? slope * factor.hi : 0.0;
  }
  if (above == 0.0) return {};
  if (gradient != nullptr) gradient[label] = -above * slope * factor.hi;
  return {kInfinity, 0.0};
}

}  // namespace

RowSums MulticlassHingeRows(const LossJob<MulticlassHinge>& job, int64_t first,
                            int64_t last) {
  const MulticlassHinge& loss = *job.loss;
  const int64_t classes = job.batch->classes;
  const auto compute_narrow = [&](const RowOutputs& row, int64_t label,
                                  RowScratch& scratch, RowSums& sums) {
    return ComputeNarrowRow(loss, row, label, scratch, sums);
  };
  const auto compute = [&](WideRow& row, int64_t label) {
    double* const gradient = row.gradient();
    if (classes == 1) {
      if (gradient != nullptr) gradient[0] = 0.0;
      return Pair();
    }
    const Pair others = {static_cast<double>(classes - 1), 0.0};
    const Pair factor = row.factor() / others;
    if (std::isinf(row.logits()[label])) {
      return ImpossibleLabel(loss, row.logits(), classes, label, factor,
                             gradient);
    }
    const HingeSums sums =
        SumHinges(loss, row.logits(), classes, label, factor, gradient);
    if (gradient != nullptr) {
      const Pair g = sums.slopes * factor;
      // Nothing open is +0.
      gradient[label] = 0.0 - (std::isinf(g.hi) ? g.hi : g.hi + g.lo);
    }
    return std::isinf(sums.terms.hi) ? sums.terms : sums.terms / others;
  };
  return ComputeIndexedRows(job, first, last, compute, compute_narrow);
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd::compute {

HWY_EXPORT(MulticlassHingeRows);

LossRules RulesOf(const MulticlassHinge&) { return {.takes_indices = true}; }

absl::Status CheckOptions(const MulticlassHinge& loss, const Batch&) {
  if (!(std::abs(loss.margin) <= kMaxFactor)) {
    return OptionOutOfRange("margin", loss.margin, "[-2^100, 2^100]");
  }
  if (loss.power != 1 && loss.power != 2) {
    return OptionOutOfRange("power", loss.power, "1 or 2");
  }
  return absl::OkStatus();
}

RowSums ComputeRows(const LossJob<MulticlassHinge>& job, int64_t first,
                    int64_t last) {
  return HWY_DYNAMIC_DISPATCH(MulticlassHingeRows)(job, first, last);
}

}  // namespace lossd::compute
#endif  // HWY_ONCE
