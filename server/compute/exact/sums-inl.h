// The exponentials of one row and their sums: fast, careful and exact. Included
// once per instruction set.
//
// A row is worked on in chunks of kChunk elements, which are kChunk virtual
// lanes whatever the vector's length: so the order of every addition, and with
// it every bit, is the same on all targets. A last chunk that is not full is
// padded with -inf, whose exponential is 0.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_SUMS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_SUMS_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_SUMS_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_SUMS_INL_H_
#endif

#include <algorithm>
#include <cstring>
#include <limits>

#include "hwy/highway.h"
#include "server/compute/compensated_sum.h"
#include "server/compute/exact/exp-inl.h"
#include "server/compute/exact/row_scratch.h"
#include "server/compute/exact/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

inline constexpr int64_t kChunk = 16;  // elements: the number of virtual lanes
inline constexpr int64_t kVectors = kChunk / kLanes;  // vectors in a chunk
// Of the fast sum: chunks in a part, parts in a slice.
inline constexpr int64_t kPartChunks = 8;
inline constexpr int64_t kSliceParts = 4;

// Copies z[0 .. count), count < kChunk, and fills up with -inf.
template <typename T>
HWY_INLINE void PadChunk(const T* z, int64_t count, T (&to)[kChunk]) {
#if HWY_TARGET == HWY_AVX3
  // Without a call, which a short row would feel; lanes that are not loaded
  // cannot fault.
  if constexpr (sizeof(T) == sizeof(float)) {
    const auto padding = _mm512_set1_ps(-std::numeric_limits<T>::infinity());
    const auto mask = static_cast<__mmask16>((1u << count) - 1);
    return _mm512_storeu_ps(to, _mm512_mask_loadu_ps(padding, mask, z));
  }
#endif
  std::fill_n(to, kChunk, -std::numeric_limits<T>::infinity());
  std::memcpy(to, z, count * sizeof(T));
}

// Copies from[0 .. count), count <= kChunk.
HWY_INLINE void CopyPart(const float (&from)[kChunk], int64_t count,
                         float* to) {
#if HWY_TARGET == HWY_AVX3
  const auto mask = static_cast<__mmask16>((1u << count) - 1);
  _mm512_mask_storeu_ps(to, mask, _mm512_loadu_ps(from));
#else
  std::memcpy(to, from, count * sizeof(float));
#endif
}

// Calls chunk(i, p) for every chunk of z[0 .. size): p points to its kChunk
// elements, which are z + i or a padded copy.
template <typename T, typename F>
HWY_INLINE void ForEachChunk(const T* z, int64_t begin, int64_t end,
                             const F& chunk) {
  int64_t i = begin;
  for (; i + kChunk <= end; i += kChunk) chunk(i, z + i);
  if (i < end) {
    T last[kChunk];
    PadChunk(z + i, end - i, last);
    chunk(i, last);
  }
}

// Calls span(begin, end) for every span of the row, on the pool's idle threads,
// too, where there are several.
template <typename F>
HWY_INLINE void ForEachSpan(const RowTask& task, const F& span) {
  const int64_t size = task.classes;
  if (size <= kSpan) return span(int64_t{0}, size);
  const auto body = [&](int64_t i) HWY_ATTR {
    span(i * kSpan, std::min((i + 1) * kSpan, size));
  };
  const int64_t spans = (size + kSpan - 1) / kSpan;
  if (task.pool != nullptr) return task.pool->ForEachBlock(spans, body);
  for (int64_t i = 0; i < spans; ++i) body(i);
}

// All kChunk lanes together, by halving, as the pairs' version below.
HWY_INLINE double FastSumOfLanes(VecD (&sums)[kVectors]) {
  for (int64_t width = kVectors / 2; width > 0; width /= 2) {
    for (int64_t v = 0; v < width; ++v) {
      sums[v] = hn::Add(sums[v], sums[v + width]);
    }
  }
  HWY_ALIGN double lanes[kLanes];
  hn::Store(sums[0], Doubles(), lanes);
  for (int64_t width = kLanes / 2; width > 0; width /= 2) {
    for (int64_t i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

// All kChunk lanes together, by halving.
HWY_INLINE Pair SumOfLanes(const VecPair (&sums)[kVectors]) {
  const Doubles d;
  HWY_ALIGN double his[kChunk];
  HWY_ALIGN double los[kChunk];
  for (int64_t v = 0; v < kVectors; ++v) {
    hn::Store(sums[v].hi, d, his + v * kLanes);
    hn::Store(sums[v].lo, d, los + v * kLanes);
  }
  Pair lanes[kChunk];
  for (int64_t i = 0; i < kChunk; ++i) lanes[i] = FastTwoSum(his[i], los[i]);
  for (int64_t width = kChunk / 2; width > 0; width /= 2) {
    for (int64_t i = 0; i < width; ++i) lanes[i] = lanes[i] + lanes[i + width];
  }
  return lanes[0];
}

// Takes the value at `index` of the chunk in `vectors` out of it, leaving 0.
HWY_INLINE double TakeOut(int64_t index, VecD (&vectors)[kVectors]) {
  const Doubles d;
  HWY_ALIGN double lanes[kChunk];
  for (int64_t v = 0; v < kVectors; ++v) {
    hn::Store(vectors[v], d, lanes + v * kLanes);
  }
  const double taken = lanes[index];
  lanes[index] = 0.0;
  for (int64_t v = 0; v < kVectors; ++v) {
    vectors[v] = hn::Load(d, lanes + v * kLanes);
  }
  return taken;
}

// Whether chunk `i` holds `label`; never for kNoLabel.
HWY_INLINE bool Holds(int64_t i, int64_t label) {
  return static_cast<uint64_t>(label - i) < static_cast<uint64_t>(kChunk);
}

// What the fast pass over a row, or a span of one, finds out.
struct FastSums {
  double others = 0.0;  // sum of exp(z_j - offset) over j != label
  double label = 0.0;   // exp(z_label - offset); 0 without a label
  float largest;        // logit; wrong where there are NaN
  float smallest;
};

// Sums exp(z_j - offset), `offset` being 0 unless kHasOffset; fills
// exps[0 .. size) and its padding if kKeep, with 0 at the label. Fetches
// next[0 .. size) meanwhile, unless that is null: the arithmetic leaves the
// memory idle.
// Accuracy: FastExp's, and 15 * 2^-53 for the sum: a lane adds at most 7 + 3
// times before rounding errors are kept, and all lanes together 5 times.
template <bool kKeep, bool kHasOffset>
HWY_INLINE FastSums SumFast(const float* z, int64_t size, int64_t label,
                            double offset, double* exps, const float* next) {
  const Doubles d;
  const hn::CappedTag<float, kChunk> df;
  constexpr int64_t kFloatLanes = hn::MaxLanes(df);
  const VecD offsets = hn::Set(d, offset);
  FastSums result;
  auto largest = hn::Set(df, -std::numeric_limits<float>::infinity());
  auto smallest = hn::Set(df, std::numeric_limits<float>::infinity());
  VecPair sums[kVectors];
  for (auto& sum : sums) sum = {hn::Zero(d), hn::Zero(d)};
  VecD part[kVectors];
  const auto chunk = [&](int64_t i, const float* p) HWY_ATTR {
    if (next != nullptr) __builtin_prefetch(next + i, 0, 2);
    VecD e[kVectors];
    for (int64_t v = 0; v < kVectors; ++v) {
      VecD x = LoadAsDouble(p + v * kLanes);
      if constexpr (kHasOffset) x = hn::Sub(x, offsets);
      e[v] = FastExp(x);
    }
    if (HWY_UNLIKELY(Holds(i, label))) result.label = TakeOut(label - i, e);
    for (int64_t v = 0; v < kVectors; ++v) {
      if constexpr (kKeep) hn::StoreU(e[v], d, exps + i + v * kLanes);
      part[v] = hn::Add(part[v], e[v]);
    }
    for (int64_t j = 0; j < kChunk; j += kFloatLanes) {
      const auto logits = hn::LoadU(df, p + j);
      largest = hn::Max(largest, logits);  // which the padding never is
      if (HWY_LIKELY(i + kChunk <= size)) {
        smallest = hn::Min(smallest, logits);
      } else {
        const int64_t count = std::clamp<int64_t>(size - i - j, 0, kFloatLanes);
        smallest = hn::IfThenElse(hn::FirstN(df, count),
                                  hn::Min(smallest, logits), smallest);
      }
    }
  };
  constexpr int64_t kPart = kPartChunks * kChunk;
  constexpr int64_t kSlice = kSliceParts * kPart;
  for (int64_t begin = 0; begin < size; begin += kSlice) {
    const int64_t end = std::min(begin + kSlice, size);
    VecD slice[kVectors];
    for (auto& sum : slice) sum = hn::Zero(d);
    for (int64_t i = begin; i < end; i += kPart) {
      for (auto& sum : part) sum = hn::Zero(d);
      ForEachChunk(z, i, std::min(i + kPart, end), chunk);
      for (int64_t v = 0; v < kVectors; ++v) {
        slice[v] = hn::Add(slice[v], part[v]);
      }
    }
    for (int64_t v = 0; v < kVectors; ++v) {
      const VecPair sum = TwoSum(sums[v].hi, slice[v]);
      sums[v] = {sum.hi, hn::Add(sums[v].lo, sum.lo)};
    }
  }
  VecD totals[kVectors];
  for (int64_t v = 0; v < kVectors; ++v) {
    totals[v] = hn::Add(sums[v].hi, sums[v].lo);
  }
  result.others = FastSumOfLanes(totals);
  result.largest = hn::GetLane(hn::MaxOfLanes(df, largest));
  result.smallest = hn::GetLane(hn::MinOfLanes(df, smallest));
  return result;
}

// A row's sums from those of its spans. Accuracy: one more 2^-53.
class FastTotal {
 public:
  HWY_INLINE void Add(const FastSums& sums) {
    others_.Add(sums.others);
    total_.label += sums.label;  // 0 in all spans but one
    total_.largest = std::max(total_.largest, sums.largest);
    total_.smallest = std::min(total_.smallest, sums.smallest);
  }

  HWY_INLINE FastSums Total() {
    total_.others = others_.Total();
    return total_;
  }

 private:
  CompensatedSum others_;
  FastSums total_ = {0.0, 0.0, -std::numeric_limits<float>::infinity(),
                     std::numeric_limits<float>::infinity()};
};

// SumFast for the whole row.
template <bool kKeep, bool kHasOffset>
HWY_INLINE FastSums SumRowFast(const RowTask& task, double offset,
                               RowScratch& scratch) {
  const float* z = reinterpret_cast<const float*>(task.logits);
  const float* next = reinterpret_cast<const float*>(task.next_logits);
  double* exps = kKeep ? scratch.exps.data() : nullptr;
  const auto sum_span = [&](int64_t begin, int64_t end) HWY_ATTR {
    return SumFast<kKeep, kHasOffset>(z + begin, end - begin,
                                      task.label - begin, offset,
                                      kKeep ? exps + begin : nullptr,
                                      next != nullptr ? next + begin : nullptr);
  };
  if (task.classes <= kSpan) return sum_span(0, task.classes);
  double* partials = scratch.PartialSums(task.classes);
  ForEachSpan(task, [&](int64_t begin, int64_t end) HWY_ATTR {
    const FastSums sums = sum_span(begin, end);
    double* to = partials + begin / kSpan * kPartialSums;
    to[0] = sums.others;
    to[1] = sums.label;
    to[2] = sums.largest;
    to[3] = sums.smallest;
  });
  FastTotal total;
  for (int64_t begin = 0; begin < task.classes; begin += kSpan) {
    const double* from = partials + begin / kSpan * kPartialSums;
    total.Add({from[0], from[1], static_cast<float>(from[2]),
               static_cast<float>(from[3])});
  }
  return total.Total();
}

// What the careful pass finds out; all times 2^kCarefulScaleBits.
struct CarefulSums {
  Pair others;
  Pair label;
};

// 2^kCarefulScaleBits exp(z_j - max) of one vector. The difference's rounding
// error is kept.
template <typename T>
HWY_INLINE VecPair CarefulExpOfLogits(const T* p, VecD max) {
  const VecPair x = TwoSum(LoadAsDouble(p), hn::Neg(max));
  return CarefulExp(x.hi, x.lo);
}

// Sums exp(z_j - max); fills exps and exps_low if kKeep, with 0 at the label.
// Accuracy: CarefulExp's, and 2^-70 for the sum.
template <bool kKeep, typename T>
HWY_NOINLINE CarefulSums SumCarefully(const T* z, int64_t size, int64_t label,
                                      double max, double* exps,
                                      double* exps_low) {
  const Doubles d;
  const VecD maxima = hn::Set(d, max);
  CarefulSums result;
  VecPair sums[kVectors];
  for (auto& sum : sums) sum = {hn::Zero(d), hn::Zero(d)};
  ForEachChunk(z, 0, size, [&](int64_t i, const T* p) HWY_ATTR {
    VecD e[kVectors];
    VecD low[kVectors];
    for (int64_t v = 0; v < kVectors; ++v) {
      const VecPair pair = CarefulExpOfLogits(p + v * kLanes, maxima);
      e[v] = pair.hi;
      low[v] = pair.lo;
    }
    if (HWY_UNLIKELY(Holds(i, label))) {
      result.label.hi = TakeOut(label - i, e);
      result.label.lo = TakeOut(label - i, low);
    }
    for (int64_t v = 0; v < kVectors; ++v) {
      if constexpr (kKeep) {
        hn::StoreU(e[v], d, exps + i + v * kLanes);
        hn::StoreU(low[v], d, exps_low + i + v * kLanes);
      }
      const VecPair sum = TwoSum(sums[v].hi, e[v]);
      sums[v] = {sum.hi, hn::Add(sums[v].lo, hn::Add(sum.lo, low[v]))};
    }
  });
  result.others = SumOfLanes(sums);
  return result;
}

// SumCarefully for the whole row; with kKeep into the scratch.
template <bool kKeep, typename T>
HWY_INLINE CarefulSums SumRowCarefully(const RowTask& task, double max,
                                       RowScratch& scratch) {
  const T* z = reinterpret_cast<const T*>(task.logits);
  double* exps = scratch.exps.data();
  double* exps_low = scratch.exps_low.data();
  double* partials = scratch.PartialSums(task.classes);
  ForEachSpan(task, [&](int64_t begin, int64_t end) HWY_ATTR {
    const CarefulSums sums = SumCarefully<kKeep>(
        z + begin, end - begin, task.label - begin, max,
        kKeep ? exps + begin : nullptr, kKeep ? exps_low + begin : nullptr);
    double* to = partials + begin / kSpan * kPartialSums;
    to[0] = sums.others.hi;
    to[1] = sums.others.lo;
    to[2] = sums.label.hi;
    to[3] = sums.label.lo;
  });
  CarefulSums total;
  for (int64_t begin = 0; begin < task.classes; begin += kSpan) {
    const double* from = partials + begin / kSpan * kPartialSums;
    total.others = total.others + Pair{from[0], from[1]};
    total.label = total.label + Pair{from[2], from[3]};
  }
  return total;
}

// The sums that decide what is left: those of the logits equal to the maximum,
// whose exponentials are exactly 1, are counted apart, so that what the others
// add is known to its own last bits, however small.
struct ExactSums {
  double count = 0.0;  // of j != label with z_j = max
  Pair rest;           // sum of exp(z_j - max) over j != label with z_j < max
  bool label_is_max = false;
  Pair label;  // exp(z_label - max); 0 without a label

  Pair others() const { return Pair{count, 0.0} + rest; }
  // The sum over all j, less 1 for one of the largest.
  Pair all_but_one() const {
    if (label_is_max) return others();
    return Pair{count - 1.0, 0.0} + (rest + label);
  }
};

// exp(z - max), exactly 1 where they are equal. It may be subnormal; where it
// would be 0 the least number stands for it, so that ties see that there is
// something.
HWY_INLINE Pair ExactExpOfLogit(double z, double max) {
  if (z == max) return {1.0, 0.0};
  if (std::isinf(z)) return {0.0, 0.0};
  constexpr Pair kShift = {0x1.62e42fefa39efp+8, 0x1.abc9e3b39803fp-47};
  constexpr double kUnshift = 0x1p-512;  // exp(-kShift)
  const Pair x = TwoSum(z, -max);
  if (x.hi > -700.0) return ExactExp(x);
  if (x.hi < -1000.0) return {0x1p-1074, 0.0};
  const Pair e = Scaled(ExactExp(x + kShift), kUnshift);
  return {std::max(e.hi, 0x1p-1074), 0.0};
}

// Accuracy: relative error of `rest` and `label` under 2^-95, unless subnormal.
template <typename T>
HWY_NOINLINE ExactSums SumExactly(const T* z, int64_t size, int64_t label,
                                  double max) {
  ExactSums result;
  for (int64_t i = 0; i < size; ++i) {
    T logit;
    std::memcpy(&logit, z + i, sizeof(T));
    const Pair e = ExactExpOfLogit(logit, max);
    if (i == label) {
      result.label_is_max = logit == max;
      result.label = e;
    } else if (logit == max) {
      result.count += 1.0;
    } else {
      result.rest = result.rest + e;
    }
  }
  return result;
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
