// The fast exponentials of a row and their sums. Included once per instruction
// set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_FAST_SUMS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_FAST_SUMS_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_FAST_SUMS_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_FAST_SUMS_INL_H_
#endif

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

#include "hwy/highway.h"
#include "server/compute/exact/chunks-inl.h"
#include "server/compute/exact/double_double-inl.h"
#include "server/compute/exact/exp-inl.h"
#include "server/compute/exact/row_scratch.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// Groups in a slice.
inline constexpr int64_t kSliceGroups = 8;

// All kChunk lanes together.
HWY_INLINE double SumByHalving(const VecD (&vectors)[kVectors]) {
  VecD sums[kVectors];
  for (int64_t v = 0; v < kVectors; ++v) sums[v] = vectors[v];
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

// A sum in kChunk lanes. What is lost between slices is kept.
class LaneSum {
 public:
  HWY_INLINE LaneSum() {
    const Doubles d;
    for (auto& sum : sums_) sum = {hn::Zero(d), hn::Zero(d)};
    for (auto& sum : slice_) sum = hn::Zero(d);
  }

  // Adds to vector `v` of the lanes.
  HWY_INLINE void Add(int64_t v, VecD terms) {
    slice_[v] = hn::Add(slice_[v], terms);
  }

  HWY_INLINE void EndSlice() {
    for (int64_t v = 0; v < kVectors; ++v) {
      const VecPair sum = TwoSum(sums_[v].hi, slice_[v]);
      sums_[v] = {sum.hi, hn::Add(sums_[v].lo, sum.lo)};
      slice_[v] = hn::Zero(Doubles());
    }
  }

  // All lanes together, by halving. REQUIRES: the last slice has ended.
  HWY_INLINE double Total() const {
    VecD sums[kVectors];
    for (int64_t v = 0; v < kVectors; ++v) {
      sums[v] = hn::Add(sums_[v].hi, sums_[v].lo);
    }
    return SumByHalving(sums);
  }
  // The same where there was no more than one slice, which need not end.
  HWY_INLINE double TotalOfOneSlice() const { return SumByHalving(slice_); }

 private:
  VecPair sums_[kVectors];
  VecD slice_[kVectors];
};

// What the fast pass over a row, or a span of one, finds out; x_j = scale z_j -
// offset.
struct FastSums {
  double others = 0.0;  // sum of exp(x_j) over j != label
  double others_low = 0.0;
  float largest = -std::numeric_limits<float>::infinity();  // logit; wrong
  float smallest = std::numeric_limits<float>::infinity();  // with NaN

  // Accuracy: one more rounding for all spans of a row together.
  HWY_INLINE void Add(const FastSums& next) {
    const Pair sum = TwoSum(others, next.others);
    others = sum.hi;
    others_low += sum.lo + next.others_low;
    largest = std::max(largest, next.largest);
    smallest = std::min(smallest, next.smallest);
  }
};

// Logits that the fast pass is told to take without masks, offset and scale:
// all exponentials are then far from overflow and underflow, and what stands in
// for -inf adds nothing that could be seen.
inline constexpr double kPlainLow = -600.0;
inline constexpr double kPlainNothing = -688.0;  // a number of every type

// The first pass over z[0 .. size), `label` counting from z.
//
// kKeep: fills exps[0 .. size) and its padding to whole chunks, with 0 at the
// label and in the padding: a product of less would underflow, which is slow.
// kPlain: offset 0, scale 1; results are of no use if a logit is below
// kPlainLow or not finite.
template <bool kKeep, bool kPlain, typename T>
class FastPass {
 public:
  HWY_INLINE FastPass(const T* z, int64_t size, int64_t label, double scale,
                      double offset, double* exps)
      : z_(z),
        size_(size),
        label_(label),
        scale_(hn::Set(Doubles(), scale)),
        minus_offset_(hn::Set(Doubles(), 0.0 - offset)),
        exps_(exps),
        largest_(hn::Set(Lanes(), -std::numeric_limits<float>::infinity())),
        smallest_(hn::Set(Lanes(), std::numeric_limits<float>::infinity())) {}

  // Fetches next[0 .. size) meanwhile, unless that is null: the arithmetic
  // leaves the memory idle.
  // Accuracy: FastExp's, and 15 * 2^-53 for the sum: a lane adds 2 times within
  // a group and 7 within a slice; then come the two halves of a lane's sum and
  // all lanes together, 5 times.
  HWY_INLINE FastSums Run(const T* next) {
    // The label's group is taken from a copy without it: no branch of the loop
    // depends on where it is.
    T copy[kGroup];
    const int64_t whole = size_ / kGroup * kGroup;
    const bool copies = Holds(0, whole, label_);
    const int64_t label_group = copies ? label_ / kGroup * kGroup : -1;
    if (copies) {
      std::memcpy(copy, z_ + label_group, sizeof(copy));
      copy[label_ - label_group] = kNothing;
    }
    for (int64_t begin = 0; begin < whole; begin += kSliceGroups * kGroup) {
      const int64_t end = std::min(begin + kSliceGroups * kGroup, whole);
      for (int64_t i = begin; i < end; i += kGroup) {
        AddGroup(i, i == label_group ? copy : z_ + i, next);
      }
      sums_.EndSlice();
    }
    if (kKeep && copies) exps_[label_] = 0.0;
    FastSums result;
    if (whole == 0) {
      AddRest(0);
      result.others = sums_.TotalOfOneSlice();
    } else {
      if (whole < size_) {
        AddRest(whole);
        sums_.EndSlice();
      }
      result.others = sums_.Total();
    }
    const Lanes df;
    result.largest = hn::GetLane(hn::MaxOfLanes(df, largest_));
    result.smallest = hn::GetLane(hn::MinOfLanes(df, smallest_));
    return result;
  }

 private:
  using Lanes = hn::CappedTag<float, kChunk>;
  static constexpr int64_t kFloatLanes = hn::MaxLanes(Lanes());
  static constexpr T kNothing = FromDouble<T>(
      kPlain ? kPlainNothing : -std::numeric_limits<double>::infinity());

  // The exponentials of the chunk p.
  template <typename Logit>
  HWY_INLINE void Exps(const Logit* p, VecD (&e)[kVectors]) {
    for (int64_t v = 0; v < kVectors; ++v) {
      e[v] = LoadAsDouble(p + v * kLanes);
      if constexpr (!kPlain) e[v] = FusedMulAdd(e[v], scale_, minus_offset_);
    }
    FastExps<!kPlain>(e);
  }

  HWY_INLINE void Keep(int64_t i, const VecD (&e)[kVectors]) {
    if constexpr (kKeep) {
      for (int64_t v = 0; v < kVectors; ++v) {
        hn::StoreU(e[v], Doubles(), exps_ + i + v * kLanes);
      }
    }
  }

  HWY_INLINE void AddBounds(const T* p) {
    for (int64_t j = 0; j < kChunk; j += kFloatLanes) {
      AddBounds(LoadFloats(Lanes(), p + j));
    }
  }
  HWY_INLINE void AddBounds(hn::Vec<Lanes> logits) {
    largest_ = hn::Max(largest_, logits);
    smallest_ = hn::Min(smallest_, logits);
  }

  HWY_INLINE void AddGroup(int64_t i, const T* p, const T* next) {
    VecD sums[kGroupChunks][kVectors];
    for (int64_t c = 0; c < kGroupChunks; ++c) {
      const int64_t at = i + c * kChunk;
      if (next != nullptr) __builtin_prefetch(next + at, 0, 2);
      if constexpr (std::is_same_v<T, float>) {
        AddBounds(z_ + at);
        Exps(p + c * kChunk, sums[c]);
      } else {
        // Widened once for both.
        HWY_ALIGN float wide[kChunk];
        for (int64_t j = 0; j < kChunk; j += kFloatLanes) {
          const auto logits = LoadFloats(Lanes(), z_ + at + j);
          AddBounds(logits);
          hn::Store(logits, Lanes(), wide + j);
        }
        if (HWY_UNLIKELY(Holds(at, kChunk, label_))) {
          wide[label_ - at] = static_cast<float>(ToDouble(kNothing));
        }
        Exps(wide, sums[c]);
      }
      Keep(at, sums[c]);
    }
    for (int64_t v = 0; v < kVectors; ++v) {
      sums_.Add(v, hn::Add(hn::Add(sums[0][v], sums[1][v]),
                           hn::Add(sums[2][v], sums[3][v])));
    }
  }

  // What is left after the whole groups; the label is taken out on the way.
  HWY_INLINE void AddRest(int64_t i) {
    for (; i < size_; i += kChunk) {
      const int64_t count = std::min(size_ - i, kChunk);
      const T* p = z_ + i;
      T padded[kChunk];
      if (count < kChunk) {
        // With one of its elements, which changes no bound.
        T first;
        std::memcpy(&first, p, sizeof(T));
        PadChunk(p, count, first, padded);
        p = padded;
      }
      AddBounds(p);
      VecD e[kVectors];
      Exps(p, e);
      for (int64_t v = 0; v < kVectors; ++v) {
        const auto real = hn::And(IsBelow(count, v), IsNot(label_, i, v));
        e[v] = hn::IfThenElseZero(real, e[v]);
        sums_.Add(v, e[v]);
      }
      Keep(i, e);
    }
  }

  const T* const z_;
  const int64_t size_;
  const int64_t label_;
  const VecD scale_;
  const VecD minus_offset_;
  double* const exps_;
  LaneSum sums_;
  hn::Vec<Lanes> largest_;
  hn::Vec<Lanes> smallest_;
};

// FastPass over the whole row.
template <bool kKeep, bool kPlain, typename T>
HWY_INLINE FastSums SumRowFast(const RowTask& task, double offset,
                               RowScratch& scratch) {
  const T* z = reinterpret_cast<const T*>(task.logits);
  const T* next = reinterpret_cast<const T*>(task.next_logits);
  double* exps = kKeep ? scratch.exps.data() : nullptr;
  FastSums sums = SumSpans<FastSums>(
      task, scratch, [&](int64_t begin, int64_t end) HWY_ATTR {
        FastPass<kKeep, kPlain, T> pass(z + begin, end - begin,
                                        task.label - begin, task.scale, offset,
                                        kKeep ? exps + begin : nullptr);
        return pass.Run(next != nullptr ? next + begin : nullptr);
      });
  sums.others += sums.others_low;
  return sums;
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
