// The fast exponentials of a float32 row and their sums. Included once per
// instruction set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_FAST_SUMS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_FAST_SUMS_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_FAST_SUMS_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_FAST_SUMS_INL_H_
#endif

#include <algorithm>
#include <limits>

#include "hwy/highway.h"
#include "server/compute/compensated_sum.h"
#include "server/compute/exact/chunks-inl.h"
#include "server/compute/exact/exp-inl.h"
#include "server/compute/exact/row_scratch.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// Chunks in a part, parts in a slice.
inline constexpr int64_t kPartChunks = 8;
inline constexpr int64_t kSliceParts = 4;

// All kChunk lanes together, by halving, as for pairs of the careful sums.
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

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
