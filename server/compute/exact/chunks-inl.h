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

#include "hwy/highway.h"
#include "server/compute/exact/row_scratch.h"
#include "server/compute/exact/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

inline constexpr int64_t kChunk = 16;  // elements: the number of virtual lanes
inline constexpr int64_t kVectors = kChunk / kLanes;  // vectors in a chunk

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

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
