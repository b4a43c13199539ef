#include "server/compute/losses/kl_divergence.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <variant>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/compute/losses/kl_divergence.cc"
#include "hwy/foreach_target.h"  // includes this file once per target
#include "hwy/highway.h"
#include "server/compute/batch_checks.h"
#include "server/compute/exact/kl_decide-inl.h"
#include "server/compute/exact/kl_sums-inl.h"
#include "server/compute/exact/vector_pair-inl.h"
#include "server/compute/losses/wide_row-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {
namespace {

// Distances between logits within it, over any temperature, are far from
// float64's range.
constexpr double kLargestInPairs = 0x1p1000;

// The loss of narrower types need not be nearer than that: 2^-17 of an ulp, and
// what the reduced loss is promised.
constexpr double kNarrowLossAccuracy = 0x1p-42;
constexpr double kNarrowSlopeAccuracy = 0x1p-30;
constexpr double kWideAccuracy = 0x1p-55;

// One row on its way.
struct KlRow {
  KlTask task;
  RowRange student;
  RowRange teacher;
  Pair factor;       // row_weight upstream / divisor
  double* gradient;  // null: not wanted
  RowScratch* scratch;

  bool has_infinite() const {
    return std::isinf(student.min) ||
           (task.teacher_is_logits && std::isinf(teacher.min));
  }
};

HWY_INLINE double* Room(std::vector<double>& vector, const KlRow& row) {
  return RowScratch::Room(vector, row.task.classes + kChunk);
}

// Replaces the slopes marked by a 1 in marks[0 .. kChunk) of the chunk at `i`.
HWY_NOINLINE void Redo(const KlRow& row, const double* marks, int64_t i,
                       KlDecider& decider) {
  const int64_t count = std::min(row.task.classes - i, kChunk);
  for (int64_t j = 0; j < count; ++j) {
    if (marks[j] == 0.0) continue;
    const Pair g = decider.Slope(i + j) * row.factor;
    row.gradient[i + j] = g.hi + g.lo;
  }
}

// Fills the gradient with a e_i - b f_i, in float64; where that cancels to less
// than `least` of its parts the decider gives it.
HWY_NOINLINE void WriteSlopes(const KlRow& row, const double* e,
                              const double* f, double a, double b, double least,
                              KlDecider& decider) {
  const Doubles d;
  const VecD as = hn::Set(d, a), minus_b = hn::Set(d, -b);
  const VecD leasts = hn::Set(d, least);
  for (int64_t i = 0; i < row.task.classes; i += kChunk) {
    HWY_ALIGN double marks[kChunk];
    bool certain = true;
    for (int64_t v = 0; v < kVectors; ++v) {
      const int64_t at = i + v * kLanes;
      const VecD part = hn::Mul(hn::LoadU(d, e + at), as);
      const VecD g = FusedMulAdd(hn::LoadU(d, f + at), minus_b, part);
      hn::StoreU(g, d, row.gradient + at);
      const auto doubt = hn::Lt(hn::Abs(g), hn::Mul(hn::Abs(part), leasts));
      certain &= hn::AllFalse(d, doubt);
      hn::Store(hn::IfThenElseZero(doubt, hn::Set(d, 1.0)), d,
                marks + v * kLanes);
    }
    if (HWY_UNLIKELY(!certain)) Redo(row, marks, i, decider);
  }
}

// A row whose gradient needs no more than float64. Returns the loss with a
// bound on its error.
template <bool kLogits>
HWY_NOINLINE Approx ComputeNarrowRow(const KlRow& row, KlDecider& decider) {
  const KlTask& task = row.task;
  const double student_spread =
      std::isinf(row.student.min) ? HUGE_VAL : task.z_max - row.student.min;
  const double teacher_spread =
      std::isinf(row.teacher.min) ? HUGE_VAL : task.t_max - row.teacher.min;
  const auto parts = [&](auto& pass) HWY_ATTR {
    pass.Run(row.has_infinite());
    return pass.Parts(student_spread, teacher_spread);
  };
  if (row.gradient == nullptr) {
    FastKlPass<kLogits, false> pass(task, nullptr, nullptr);
    return KlLoss(task, parts(pass));
  }
  double* const e = Room(row.scratch->target_pairs, row);
  double* const f =
      kLogits ? Room(row.scratch->target_pairs_low, row) : nullptr;
  FastKlPass<kLogits, true> pass(task, e, f);
  const KlParts<double> sums = parts(pass);
  const double b = row.factor.hi * task.temperature;
  const double a = b * (kLogits ? 1.0 : sums.f.value) / sums.s.value;
  // The error of a part: its exponential's, at most 708 below the largest, the
  // sums', and a few roundings. A result of 2^-28 of it is as certain as
  // float32 asks for.
  const double deepest =
      std::min(std::max(student_spread, kLogits ? teacher_spread : 0.0) /
                   task.temperature,
               -kFastLow);
  const double error =
      (kFastExpBase + kFastExpSlope * deepest + 8.0) * 0x1p-53 +
      sums.s.error / sums.s.value +
      (sums.f.value == 0.0 ? 0.0 : sums.f.error / sums.f.value);
  WriteSlopes(row, e, kLogits ? f : task.t, a, kLogits ? b / sums.f.value : b,
              error * 0x1p28, decider);
  return KlLoss(task, sums);
}

// A factor of careful exponentials, which takes their scale in two steps, so
// that neither makes anything subnormal.
struct CarefulFactor {
  VecPair factor;
  double first_scale;

  static CarefulFactor Of(Pair factor, bool scaled) {
    if (!scaled) return {Broadcast(factor), 1.0};
    constexpr double kUnscale = 0x1p-512;
    if (std::abs(factor.hi) < 0x1p-400) return {Broadcast(factor), kUnscale};
    return {Broadcast(Scaled(factor, kUnscale)), 1.0};
  }
  HWY_INLINE VecPair Times(VecPair x) const {
    return Mul(Scaled(x, first_scale), factor);
  }
};

// The same in pairs, rounded once.
template <bool kLogits>
HWY_NOINLINE void WriteCarefulSlopes(const KlRow& row, const KlRoom& room,
                                     Pair a, Pair b, KlDecider& decider) {
  const Doubles d;
  const CarefulFactor as = CarefulFactor::Of(a, true);
  const CarefulFactor bs = CarefulFactor::Of(b, kLogits);
  for (int64_t i = 0; i < row.task.classes; i += kChunk) {
    HWY_ALIGN double marks[kChunk];
    bool certain = true;
    for (int64_t v = 0; v < kVectors; ++v) {
      const int64_t at = i + v * kLanes;
      const VecPair part =
          as.Times({hn::LoadU(d, room.e + at), hn::LoadU(d, room.e_low + at)});
      VecPair f;
      if constexpr (kLogits) {
        f = {hn::LoadU(d, room.f + at), hn::LoadU(d, room.f_low + at)};
      } else {
        f = {hn::LoadU(d, row.task.t + at), hn::Zero(d)};
      }
      const VecPair difference = Add(part, Neg(bs.Times(f)));
      hn::StoreU(Rounded(difference), d, row.gradient + at);
      // The parts' errors are under 2^-59 of them: at most 0.3 ulp here.
      const auto doubt = hn::Lt(hn::Abs(difference.hi),
                                hn::Mul(hn::Abs(part.hi), hn::Set(d, 0.125)));
      certain &= hn::AllFalse(d, doubt);
      hn::Store(hn::IfThenElseZero(doubt, hn::Set(d, 1.0)), d,
                marks + v * kLanes);
    }
    if (!certain) Redo(row, marks, i, decider);
  }
}

template <bool kLogits>
HWY_NOINLINE ApproxPair ComputeWideRow(const KlRow& row, KlDecider& decider) {
  const KlTask& task = row.task;
  if (row.gradient == nullptr) {
    return KlLoss(task, SumKlCarefully<kLogits>(task, KlRoom()));
  }
  RowScratch& scratch = *row.scratch;
  KlRoom room = {Room(scratch.target_pairs, row),
                 Room(scratch.target_pairs_low, row)};
  if (kLogits) {
    room.f = Room(scratch.teacher_exps, row);
    room.f_low = Room(scratch.teacher_exps_low, row);
  }
  const KlParts<Pair> sums = SumKlCarefully<kLogits>(task, room);
  const Pair b = row.factor * Pair{task.temperature, 0.0};
  const Pair a = kLogits ? b / sums.s.value : b * sums.f.value / sums.s.value;
  WriteCarefulSlopes<kLogits>(row, room, a, kLogits ? b / sums.f.value : b,
                              decider);
  return KlLoss(task, sums);
}

// Whether an impossible class has a target, which makes the loss infinite.
HWY_NOINLINE bool HasImpossibleTarget(const KlTask& task) {
  const double nothing = task.teacher_is_logits ? -HUGE_VAL : 0.0;
  for (int64_t i = 0; i < task.classes; ++i) {
    if (std::isinf(task.z[i]) && task.t[i] != nothing) return true;
  }
  return false;
}

// Whether a finite logit is so large that distances may leave float64's range.
HWY_INLINE bool IsBeyondPairs(const double* logits, int64_t size,
                              const RowRange& range) {
  if (std::abs(range.max) > kLargestInPairs) return true;
  if (!std::isinf(range.min)) return range.min < -kLargestInPairs;
  return std::any_of(logits, logits + size, [](double x) {
    return x < -kLargestInPairs && !std::isinf(x);
  });
}

// The loss before its row's weight, and the gradient.
Pair ComputeKlRow(const KlRow& row, bool is_narrow) {
  const KlTask& task = row.task;
  KlDecider decider(task, is_narrow ? kNarrowLossAccuracy : kWideAccuracy,
                    is_narrow ? kNarrowSlopeAccuracy : kWideAccuracy,
                    IsBeyondPairs(task.z, task.classes, row.student) ||
                        (task.teacher_is_logits &&
                         IsBeyondPairs(task.t, task.classes, row.teacher)));
  const bool is_infinite =
      std::isinf(row.student.min) && HasImpossibleTarget(task);
  constexpr Pair kInfinite = {std::numeric_limits<double>::infinity(), 0.0};
  if (decider.beyond_pairs()) {
    for (int64_t i = 0; row.gradient != nullptr && i < task.classes; ++i) {
      const Pair g = decider.Slope(i) * row.factor;
      row.gradient[i] = g.hi + g.lo;
    }
    return is_infinite ? kInfinite : decider.Loss();
  }
  if (is_narrow) {
    const Approx loss = task.teacher_is_logits
                            ? ComputeNarrowRow<true>(row, decider)
                            : ComputeNarrowRow<false>(row, decider);
    if (is_infinite) return kInfinite;
    if (decider.IsCertainLoss(loss)) return {loss.value, 0.0};
  } else {
    const ApproxPair loss = task.teacher_is_logits
                                ? ComputeWideRow<true>(row, decider)
                                : ComputeWideRow<false>(row, decider);
    if (is_infinite) return kInfinite;
    if (decider.IsCertainLoss(loss)) return loss.value;
  }
  return decider.Loss();
}

}  // namespace

RowSums KlDivergenceRows(const LossJob<KlDivergence>& job, int64_t first,
                         int64_t last) {
  const LossRules rules = RulesOf(*job.loss);
  const ElementType target_type =
      std::get<FloatTargets>(job.batch->labels).type;
  RowScratch& scratch = RowScratch::OfThisThread();
  RowSums sums;
  KlRow row = {};
  row.scratch = &scratch;
  row.task.classes = job.batch->classes;
  row.task.teacher_is_logits = job.loss->targets_are_logits;
  row.task.temperature = job.loss->temperature;
  double* const t = Room(scratch.targets, row);
  row.task.t = t;
  for (int64_t r = first; r < last; ++r) {
    row.teacher =
        WidenRow(target_type, job.targets->Row(r, scratch.gathered_targets),
                 row.task.classes, rules.max_target, t);
    if (!row.teacher.in_range || row.teacher.min < rules.min_target ||
        std::isinf(row.teacher.max)) {
      if (sums.first_bad_target_row < 0) sums.first_bad_target_row = r;
      continue;
    }
    std::fill_n(t + row.task.classes, kChunk, 0.0);
    const RowOutputs outputs(job, r, scratch);
    WideRow wide(outputs, scratch);
    if (!wide.in_range() || std::isinf(wide.max())) {
      outputs.FinishUndefined(sums);
      continue;
    }
    row.student = wide.range();
    row.task.z = wide.logits();
    row.task.z_max = wide.max();
    row.task.t_max = row.teacher.max;
    row.factor = wide.factor();
    row.gradient = wide.gradient();
    const Pair loss = ComputeKlRow(row, outputs.is_narrow());
    wide.WriteGradient();
    outputs.Finish(loss, sums);
  }
  return sums;
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd::compute {
namespace {

constexpr double kMinTemperature = 1e-6;
constexpr double kMaxTemperature = 1e6;

}  // namespace

HWY_EXPORT(KlDivergenceRows);

LossRules RulesOf(const KlDivergence& loss) {
  LossRules rules = {.takes_targets = true,
                     .min_target = 0.0,
                     .max_target = kMaxFactor,
                     .target_range = "[0, 2^100]",
                     .needs_possible_class = true};
  if (loss.targets_are_logits) {
    rules.min_target = -std::numeric_limits<double>::infinity();
    rules.max_target = std::numeric_limits<double>::max();
    rules.target_range = "a finite number or -inf";
  }
  return rules;
}

absl::Status CheckOptions(const KlDivergence& loss, const Batch&) {
  if (!(loss.temperature >= kMinTemperature &&
        loss.temperature <= kMaxTemperature)) {
    return OptionOutOfRange("temperature", loss.temperature, "[1e-06, 1e+06]");
  }
  return absl::OkStatus();
}

RowSums ComputeRows(const LossJob<KlDivergence>& job, int64_t first,
                    int64_t last) {
  return HWY_DYNAMIC_DISPATCH(KlDivergenceRows)(job, first, last);
}

}  // namespace lossd::compute
#endif  // HWY_ONCE
