// The sums of slow_sums-inl.h and targets-inl.h over capped logits, which are
// differences to the maximum already. Included once per instruction set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_CAPPED_SUMS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_CAPPED_SUMS_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_CAPPED_SUMS_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_CAPPED_SUMS_INL_H_
#endif

#include "hwy/highway.h"
#include "server/compute/exact/chunks-inl.h"
#include "server/compute/exact/double_double-inl.h"
#include "server/compute/exact/exp-inl.h"
#include "server/compute/exact/row_scratch.h"
#include "server/compute/exact/slow_sums-inl.h"
#include "server/compute/exact/targets-inl.h"
#include "server/compute/exact/vector_pair-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// a_i - a_max.
HWY_INLINE Pair CappedBelow(const RowTask& task, int64_t i) {
  return {task.capped->below[i], task.capped->below_low[i]};
}

// The careful exponential of one capped logit.
HWY_INLINE Pair CarefulExpOfCapped(const RowTask& task, int64_t i) {
  const Pair below = CappedBelow(task, i);
  const VecPair e =
      CarefulExp(hn::Set(Doubles(), below.hi), hn::Set(Doubles(), below.lo));
  return {hn::GetLane(e.hi), hn::GetLane(e.lo)};
}

// CarefulSums of a whole row; with kKeep into the scratch, as
// SumRowCarefully. Both arrays are padded, so all chunks are whole.
template <bool kKeep>
HWY_NOINLINE CarefulSums SumCappedCarefully(const RowTask& task,
                                            RowScratch& scratch) {
  const Doubles d;
  double* exps = scratch.exps.data();
  double* exps_low = scratch.exps_low.data();
  CarefulSums sums = SumSpans<CarefulSums>(
      task, scratch, [&](int64_t begin, int64_t end) HWY_ATTR {
        VecPair sums[kVectors];
        for (auto& sum : sums) sum = {hn::Zero(d), hn::Zero(d)};
        for (int64_t i = begin; i < end; i += kChunk) {
          for (int64_t v = 0; v < kVectors; ++v) {
            const int64_t at = i + v * kLanes;
            VecPair e = CarefulExp(hn::LoadU(d, task.capped->below + at),
                                   hn::LoadU(d, task.capped->below_low + at));
            e = ZeroUnless(IsNot(task.label, i, v), e);
            if constexpr (kKeep) {
              hn::StoreU(e.hi, d, exps + at);
              hn::StoreU(e.lo, d, exps_low + at);
            }
            const VecPair sum = TwoSum(sums[v].hi, e.hi);
            sums[v] = {sum.hi, hn::Add(sums[v].lo, hn::Add(sum.lo, e.lo))};
          }
        }
        return CarefulSums{SumOfLanes(sums), Pair()};
      });
  if (task.label != kNoLabel) sums.label = CarefulExpOfCapped(task, task.label);
  return sums;
}

// TargetPairs of a whole row, q as FillTargets leaves it.
inline HWY_NOINLINE TargetPairs SumCappedTargets(const RowTask& task,
                                                 const double* targets,
                                                 const double* targets_low,
                                                 RowScratch& scratch) {
  const Doubles d;
  const VecPair zero = {hn::Zero(d), hn::Zero(d)};
  return SumSpans<TargetPairs>(
      task, scratch, [&](int64_t begin, int64_t end) HWY_ATTR {
        VecPair weights[kVectors], distances[kVectors];
        for (auto& sum : weights) sum = zero;
        for (auto& sum : distances) sum = zero;
        VecD infinite = hn::Zero(d);
        for (int64_t i = begin; i < end; i += kChunk) {
          for (int64_t v = 0; v < kVectors; ++v) {
            const int64_t at = i + v * kLanes;
            const VecPair q = {hn::LoadU(d, targets + at),
                               hn::LoadU(d, targets_low + at)};
            weights[v] = Add(weights[v], q);
            const VecPair below = {hn::LoadU(d, task.capped->below + at),
                                   hn::LoadU(d, task.capped->below_low + at)};
            const auto finite = hn::Gt(below.hi, hn::Neg(hn::Inf(d)));
            infinite = hn::Max(infinite, hn::IfThenZeroElse(finite, q.hi));
            distances[v] =
                Add(distances[v], Mul(q, Neg(ZeroUnless(finite, below))));
          }
        }
        return TargetPairs{SumOfLanes(weights), SumOfLanes(distances),
                           hn::GetLane(hn::MaxOfLanes(d, infinite))};
      });
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
