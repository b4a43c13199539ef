// How a row is divided. Included once per instruction set.
//
// A row is worked on in chunks of kChunk elements, which are kChunk virtual
// lanes whatever the vector's length: so the order of every addition, and with
// it every bit, is the same on all targets. A last chunk that is not full is
// padded with -inf, whose exponential is 0. A long row is divided into spans
// first, which threads may share.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_CHUNKS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_CHUNKS_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_CHUNKS_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_CHUNKS_INL_H_
#endif

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

#include "hwy/highway.h"
#include "server/compute/exact/row_scratch.h"
#include "server/compute/exact/row_task.h"
#include "server/compute/exact/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

inline constexpr int64_t kChunk = 16;  // elements: the number of virtual lanes
inline constexpr int64_t kVectors = kChunk / kLanes;  // vectors in a chunk

// Infinity of that sign.
template <typename T>
HWY_INLINE T Infinite(int sign) {
  return FromDouble<T>(sign * std::numeric_limits<double>::infinity());
}

// Elements in a group: chunks whose sums are added as a tree.
inline constexpr int64_t kGroupChunks = 4;
inline constexpr int64_t kGroup = kGroupChunks * kChunk;

// Copies z[0 .. count), 0 < count <= kChunk, and fills up with `padding`.
template <typename T>
HWY_INLINE void PadChunk(const T* z, int64_t count, T padding,
                         T (&to)[kChunk]) {
#if HWY_TARGET == HWY_AVX3
  // Without a call, which a short row would feel; lanes that are not loaded
  // cannot fault.
  if constexpr (std::is_same_v<T, float>) {
    const auto mask = static_cast<__mmask16>((1u << count) - 1);
    return _mm512_storeu_ps(
        to, _mm512_mask_loadu_ps(_mm512_set1_ps(padding), mask, z));
  }
#endif
  std::fill_n(to, kChunk, padding);
  std::memcpy(to, z, count * sizeof(T));
}

// Copies from[0 .. count), count <= kChunk.
template <typename T>
HWY_INLINE void CopyPart(const T (&from)[kChunk], int64_t count, T* to) {
#if HWY_TARGET == HWY_AVX3
  if constexpr (std::is_same_v<T, float>) {
    // In halves, as they were just stored: a wider load would wait for both.
    const unsigned mask = (1u << count) - 1;
    _mm256_mask_storeu_ps(to, static_cast<__mmask8>(mask),
                          _mm256_loadu_ps(from));
    return _mm256_mask_storeu_ps(to + 8, static_cast<__mmask8>(mask >> 8),
                                 _mm256_loadu_ps(from + 8));
  }
#endif
  std::memcpy(to, from, count * sizeof(T));
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
    PadChunk(z + i, end - i, Infinite<T>(-1), last);
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

// Adds up what span(begin, end) returns for every span of the row, in order:
// `Sums` has an Add and is at most kPartialSums doubles.
template <typename Sums, typename F>
HWY_INLINE Sums SumSpans(const RowTask& task, RowScratch& scratch,
                         const F& span) {
  static_assert(sizeof(Sums) <= kPartialSums * sizeof(double));
  static_assert(std::is_trivially_copyable_v<Sums>);
  if (task.classes <= kSpan) return span(int64_t{0}, task.classes);
  double* partials = scratch.PartialSums(task.classes);
  ForEachSpan(task, [&](int64_t begin, int64_t end) HWY_ATTR {
    const Sums sums = span(begin, end);
    std::memcpy(partials + begin / kSpan * kPartialSums, &sums, sizeof(sums));
  });
  Sums total;
  std::memcpy(static_cast<void*>(&total), partials, sizeof(total));
  for (int64_t begin = kSpan; begin < task.classes; begin += kSpan) {
    Sums sums;
    std::memcpy(static_cast<void*>(&sums),
                partials + begin / kSpan * kPartialSums, sizeof(sums));
    total.Add(sums);
  }
  return total;
}

// Which elements of vector `v` of a chunk are before the chunk's element
// `count`.
HWY_INLINE hn::Mask<Doubles> IsBelow(int64_t count, int64_t v) {
  const Doubles d;
  const VecD lanes = hn::Iota(d, static_cast<double>(v * kLanes));
  return hn::Lt(lanes, hn::Set(d, static_cast<double>(count)));
}

// Which of vector `v` of the chunk at `i` are not `label`.
HWY_INLINE hn::Mask<Doubles> IsNot(int64_t label, int64_t i, int64_t v) {
  const Doubles d;
  const VecD lanes = hn::Iota(d, static_cast<double>(v * kLanes));
  return hn::Ne(lanes, hn::Set(d, static_cast<double>(label - i)));
}

// Whether elements [i, i + size) hold `label`; never for kNoLabel.
HWY_INLINE bool Holds(int64_t i, int64_t size, int64_t label) {
  return static_cast<uint64_t>(label - i) < static_cast<uint64_t>(size);
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
