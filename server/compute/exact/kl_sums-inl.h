// The sums of a row of KL divergence, in float64 and in pairs, and its loss
// from them (kl_task.h has the formula). Included once per instruction set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_KL_SUMS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_KL_SUMS_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_KL_SUMS_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_KL_SUMS_INL_H_
#endif

#include <algorithm>
#include <cmath>

#include "hwy/highway.h"
#include "server/compute/exact/bounded-inl.h"
#include "server/compute/exact/chunks-inl.h"
#include "server/compute/exact/exp-inl.h"
#include "server/compute/exact/fast_sums-inl.h"
#include "server/compute/exact/kl_log-inl.h"
#include "server/compute/exact/kl_task.h"
#include "server/compute/exact/log-inl.h"
#include "server/compute/exact/slow_sums-inl.h"
#include "server/compute/exact/vector_pair-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// What a loss is made of.
template <typename Number>
struct KlParts {
  Bounded<Number> s;      // S
  Bounded<Number> f;      // F
  Bounded<Number> d;      // sum of f_j d_j
  Bounded<Number> log_s;  // ln S
  Bounded<Number> log_f;  // ln F, for a teacher's logits
};

template <typename Number>
HWY_INLINE Bounded<Number> KlLoss(const KlTask& task,
                                  const KlParts<Number>& parts) {
  const Bounded<Number> t = {{task.temperature}, 0.0};
  if (task.teacher_is_logits) {
    return t * (parts.d / parts.f + t * (parts.log_s - parts.log_f));
  }
  return t * (parts.d + t * (parts.f * parts.log_s));
}

// The smallest probability whose logarithm is taken as it is: below it float64
// has subnormal numbers, whose terms are next to nothing.
inline constexpr double kLeastLogged = 0x1p-1022;

// Distances below the largest count up to here in the error of a sum of
// exponentials: what lies deeper weighs less than it errs (docs/numerics.md).
inline constexpr double kDeepest = 40.0;

// The relative error of exp(x) by FastExp, x being a distance times a rounded
// 1 / T, in units of 2^-53: kFastExpBase + kFastExpSlope |x|.
inline constexpr double kFastExpBase = 2.5;
inline constexpr double kFastExpSlope = 3.4;
// Of a sum, in units of 2^-53 of its terms' sizes: 8 additions in a lane within
// a slice, then the two halves of a lane's sum, and all lanes together.
inline constexpr double kFastSumRoundings = 14.0;

// The fast pass: all but the padding of e and f, which it fills if kKeep (f
// only for a teacher's logits).
template <bool kLogits, bool kKeep>
class FastKlPass {
 public:
  HWY_INLINE FastKlPass(const KlTask& task, double* e, double* f)
      : task_(task),
        z_max_(hn::Set(Doubles(), task.z_max)),
        t_max_(hn::Set(Doubles(), task.t_max)),
        t_(hn::Set(Doubles(), task.temperature)),
        inverse_t_(hn::Set(Doubles(), 1.0 / task.temperature)),
        e_(e),
        f_(f) {
    for (VecD& size : sizes_) size = hn::Zero(Doubles());
  }

  // `masks`: some logits are -inf.
  HWY_INLINE void Run(bool masks) {
    int64_t i = 0, chunks = 0;
    const auto slice = [&] {
      if (++chunks % 8 == 0) EndSlice();
    };
    if (masks) {
      for (; i + kChunk <= task_.classes; i += kChunk) Add<true>(i), slice();
    } else {
      for (; i + kChunk <= task_.classes; i += kChunk) Add<false>(i), slice();
    }
    if (i < task_.classes) Add<true>(i);
    EndSlice();
  }

  HWY_INLINE KlParts<double> Parts(double student_spread,
                                   double teacher_spread) const {
    const auto bound = [&](double spread) {
      return (kFastExpBase +
              kFastExpSlope * std::min(spread / task_.temperature, kDeepest) +
              kFastSumRoundings) *
             0x1p-53;
    };
    KlParts<double> parts;
    parts.s = Relative(students_.Total(), bound(student_spread));
    parts.f = Relative(
        teachers_.Total(),
        kLogits ? bound(teacher_spread) : (kFastSumRoundings + 1) * 0x1p-53);
    parts.d = {distances_.Total(), SumByHalving(sizes_) * 0x1p-53};
    parts.log_s = LogOf(parts.s);
    if (kLogits) parts.log_f = LogOf(parts.f);
    return parts;
  }

 private:
  static Approx Relative(double value, double error) {
    return {value, value * error};
  }
  static Approx LogOf(Approx x) {
    const double log = FastLog(x.value, 0.0);
    return {log, 1.01 * x.error / x.value + std::abs(log) * 0x1p-51};
  }

  HWY_INLINE void EndSlice() {
    students_.EndSlice();
    teachers_.EndSlice();
    distances_.EndSlice();
  }

  template <bool kMasks>
  HWY_INLINE void Add(int64_t i) {
    const Doubles d;
    const VecD low = hn::Neg(hn::Inf(d));
    VecD dz[kVectors], dt[kVectors], e[kVectors], f[kVectors];
    for (int64_t v = 0; v < kVectors; ++v) {
      const VecD z = hn::LoadU(d, task_.z + i + v * kLanes);
      const VecD t = hn::LoadU(d, task_.t + i + v * kLanes);
      dz[v] = hn::Sub(z, z_max_);
      e[v] = hn::Mul(dz[v], inverse_t_);
      if constexpr (kLogits) {
        dt[v] = hn::Sub(t, t_max_);
        f[v] = hn::Mul(dt[v], inverse_t_);
      } else {
        f[v] = t;
      }
      if constexpr (kMasks) {
        const auto real = IsBelow(task_.classes - i, v);
        const auto possible = hn::And(real, hn::Gt(z, low));
        dz[v] = hn::IfThenElseZero(possible, dz[v]);
        e[v] = hn::IfThenElse(possible, e[v], low);
        if constexpr (kLogits) {
          const auto teaches = hn::And(real, hn::Gt(t, low));
          dt[v] = hn::IfThenElseZero(teaches, dt[v]);
          f[v] = hn::IfThenElse(teaches, f[v], low);
        } else {
          f[v] = hn::IfThenElseZero(real, f[v]);
        }
      }
    }
    FastExps<true>(e);
    if constexpr (kLogits) FastExps<true>(f);
    for (int64_t v = 0; v < kVectors; ++v) {
      if constexpr (kKeep) {
        hn::StoreU(e[v], d, e_ + i + v * kLanes);
        if constexpr (kLogits) hn::StoreU(f[v], d, f_ + i + v * kLanes);
      }
      students_.Add(v, e[v]);
      teachers_.Add(v, f[v]);
      if constexpr (kLogits) {
        AddDistance(v, f[v], dt[v], dz[v]);
      } else {
        AddLogarithm(v, f[v], dz[v]);
      }
    }
  }

  // The error of f |dt - dz|: that of f, of the sums and of this product, and
  // of the two differences.
  HWY_INLINE void AddDistance(int64_t v, VecD f, VecD dt, VecD dz) {
    const Doubles d;
    const VecD distance = hn::Sub(dt, dz);
    const VecD exp_error =
        FusedMulAdd(hn::Mul(dt, inverse_t_), hn::Set(d, -kFastExpSlope),
                    hn::Set(d, kFastExpBase + kFastSumRoundings + 3));
    const VecD error = FusedMulAdd(hn::Abs(distance), exp_error,
                                   hn::Mul(hn::Add(dt, dz), hn::Set(d, -1.5)));
    distances_.Add(v, hn::Mul(f, distance));
    sizes_[v] = FusedMulAdd(f, error, sizes_[v]);
  }

  // The same of q (T ln q - dz): the logarithm errs by four units, each of
  // three operations by one.
  HWY_INLINE void AddLogarithm(int64_t v, VecD q, VecD dz) {
    const Doubles d;
    const VecD log =
        hn::Mul(t_, FastLogOf(hn::Max(q, hn::Set(d, kLeastLogged))));
    distances_.Add(v, hn::Mul(q, hn::Sub(log, dz)));
    const VecD error =
        hn::Mul(hn::Sub(hn::Abs(log), dz), hn::Set(d, kFastSumRoundings + 8));
    sizes_[v] = FusedMulAdd(q, error, sizes_[v]);
  }

  const KlTask& task_;
  const VecD z_max_;
  const VecD t_max_;
  const VecD t_;
  const VecD inverse_t_;
  double* const e_;
  double* const f_;
  LaneSum students_, teachers_, distances_;
  VecD sizes_[kVectors];
};

// Where the careful pass leaves its exponentials, times 2^kCarefulScaleBits;
// null: not wanted. f stays null for probabilities.
struct KlRoom {
  double* e = nullptr;
  double* e_low = nullptr;
  double* f = nullptr;
  double* f_low = nullptr;
};

// Relative error of careful exponentials and their sums: CarefulExp's 2^-61,
// its argument's, and the sum's.
inline constexpr double kCarefulKlError = 0x1p-60;

HWY_INLINE void AddTo(VecPair& sum, VecPair term) {
  const VecPair high = TwoSum(sum.hi, term.hi);
  sum = FastTwoSum(high.hi, hn::Add(high.lo, hn::Add(sum.lo, term.lo)));
}

// One vector of the careful pass.
struct CarefulKl {
  VecPair e;
  VecPair f;
  VecPair distance;  // d_j
  VecD size;         // what bounds its error beside f's, in units of 2^-60
};

template <bool kLogits>
HWY_INLINE CarefulKl CarefulKlAt(const KlTask& task, VecPair inverse_t,
                                 int64_t i, int64_t v) {
  const Doubles d;
  const VecD low = hn::Neg(hn::Inf(d));
  const VecD z = hn::LoadU(d, task.z + i + v * kLanes);
  const VecD t = hn::LoadU(d, task.t + i + v * kLanes);
  const auto real = IsBelow(task.classes - i, v);
  const auto distance = [&](VecD logit, double max, auto above) HWY_ATTR {
    const VecD maxima = hn::Set(d, max);
    return TwoSum(hn::IfThenElse(above, logit, maxima), hn::Neg(maxima));
  };
  const auto exp = [&](VecPair distance, auto above) HWY_ATTR {
    const VecPair x = Mul(distance, inverse_t);
    return ZeroUnless(above, CarefulExp(x.hi, x.lo));
  };
  const auto possible = hn::And(real, hn::Gt(z, low));
  const VecPair dz = distance(z, task.z_max, possible);
  const VecPair e = exp(dz, possible);
  if constexpr (kLogits) {
    const auto teaches = hn::And(real, hn::Gt(t, low));
    const VecPair dt = distance(t, task.t_max, teaches);
    const VecPair between = Add(dt, Neg(dz));
    return {e, exp(dt, teaches), between, hn::Abs(between.hi)};
  } else {
    const VecD q = hn::IfThenElseZero(real, t);
    const VecD temperature = hn::Set(d, task.temperature);
    const VecPair log = Mul(CarefulLogOf(hn::Max(q, hn::Set(d, kLeastLogged))),
                            VecPair{temperature, hn::Zero(d)});
    const VecD size =
        hn::Add(temperature, hn::Add(hn::Abs(log.hi), hn::Abs(dz.hi)));
    return {e, VecPair{q, hn::Zero(d)}, Add(log, Neg(dz)), size};
  }
}

// The same sums in pairs, whole and unscaled.
template <bool kLogits>
HWY_NOINLINE KlParts<Pair> SumKlCarefully(const KlTask& task,
                                          const KlRoom& room) {
  const Doubles d;
  const VecPair inverse_t = Broadcast(Pair{1.0, 0.0} / Pair{task.temperature});
  VecPair students[kVectors], teachers[kVectors], distances[kVectors];
  VecD sizes[kVectors];
  for (int64_t v = 0; v < kVectors; ++v) {
    students[v] = teachers[v] = distances[v] = PairOf(0.0);
    sizes[v] = hn::Zero(d);
  }
  for (int64_t i = 0; i < task.classes; i += kChunk) {
    for (int64_t v = 0; v < kVectors; ++v) {
      const int64_t at = i + v * kLanes;
      const CarefulKl kl = CarefulKlAt<kLogits>(task, inverse_t, i, v);
      if (room.e != nullptr) {
        hn::StoreU(kl.e.hi, d, room.e + at);
        hn::StoreU(kl.e.lo, d, room.e_low + at);
        if constexpr (kLogits) {
          hn::StoreU(kl.f.hi, d, room.f + at);
          hn::StoreU(kl.f.lo, d, room.f_low + at);
        }
      }
      AddTo(students[v], kl.e);
      AddTo(teachers[v], kl.f);
      AddTo(distances[v], Mul(kl.f, kl.distance));
      sizes[v] = FusedMulAdd(kl.f.hi, kl.size, sizes[v]);
    }
  }
  constexpr double kUnscale = 0x1p-512;
  static_assert(kCarefulScaleBits == 512);
  constexpr double kTeacherUnscale = kLogits ? kUnscale : 1.0;
  const auto relative = [](Pair value, double error) {
    return ApproxPair{value, std::abs(value.hi) * error};
  };
  const auto log = [](ApproxPair x) {
    const Pair ln = ExactLog1p(x.value - Pair{1.0, 0.0});
    return ApproxPair{ln, 1.01 * x.error / x.value.hi + ln.hi * 0x1p-84};
  };
  KlParts<Pair> parts;
  parts.s = relative(Scaled(SumOfLanes(students), kUnscale), kCarefulKlError);
  parts.f = relative(Scaled(SumOfLanes(teachers), kTeacherUnscale),
                     kLogits ? kCarefulKlError : 0x1p-80);
  parts.d = {Scaled(SumOfLanes(distances), kTeacherUnscale),
             SumByHalving(sizes) * kTeacherUnscale * kCarefulKlError};
  parts.log_s = log(parts.s);
  if (kLogits) parts.log_f = log(parts.f);
  return parts;
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
