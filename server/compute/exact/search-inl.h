// What is looked for in a row of logits. Included once per instruction set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_SEARCH_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_SEARCH_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_SEARCH_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_SEARCH_INL_H_
#endif

#include <cmath>
#include <cstring>
#include <limits>

#include "hwy/highway.h"
#include "server/compute/exact/chunks-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

template <typename T>
struct RowMaximum {
  T value;
  bool finite;  // no NaN, no +inf, not all -inf; then `value` is right
};

// The largest logit, and whether the row is finite: one pass for both.
template <typename T>
HWY_INLINE RowMaximum<T> MaximumOfRow(const T* z, int64_t size) {
  const hn::CappedTag<T, kChunk> d;
  constexpr int64_t kN = hn::MaxLanes(d);
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  const auto infinity = hn::Set(d, kInfinity);
  auto max0 = hn::Set(d, -kInfinity), max1 = max0;
  auto ok0 = hn::Lt(max0, infinity), ok1 = ok0;
  int64_t i = 0;
  for (; i + 2 * kN <= size; i += 2 * kN) {
    const auto a = hn::LoadU(d, z + i);
    const auto b = hn::LoadU(d, z + i + kN);
    max0 = hn::Max(max0, a);
    max1 = hn::Max(max1, b);
    ok0 = hn::And(ok0, hn::Lt(a, infinity));  // false for NaN, too
    ok1 = hn::And(ok1, hn::Lt(b, infinity));
  }
  T max = hn::GetLane(hn::MaxOfLanes(d, hn::Max(max0, max1)));
  bool finite = hn::AllTrue(d, hn::And(ok0, ok1));
  for (; i < size; ++i) {
    T value;
    std::memcpy(&value, z + i, sizeof(T));
    if (!(value < kInfinity)) finite = false;
    if (value > max) max = value;
  }
  return {max, finite && max > -kInfinity};
}

// The first index of `value` among z[0 .. size), or size.
template <typename T>
HWY_INLINE int64_t FirstIndexOf(T value, const T* z, int64_t size) {
  const hn::CappedTag<T, kChunk> d;
  constexpr int64_t kN = hn::MaxLanes(d);
  const auto wanted = hn::Set(d, value);
  int64_t i = 0;
  for (; i + kN <= size; i += kN) {
    const auto found = hn::Eq(hn::LoadU(d, z + i), wanted);
    if (const intptr_t lane = hn::FindFirstTrue(d, found); lane >= 0) {
      return i + lane;
    }
  }
  for (; i < size; ++i) {
    T candidate;
    std::memcpy(&candidate, z + i, sizeof(T));
    if (candidate == value) return i;
  }
  return size;
}

// The prediction of a row with NaN or +inf: the first NaN, as in PyTorch, else
// the first of the largest. Rare, so plain.
template <typename T>
HWY_INLINE int64_t PredictionOfNonFiniteRow(const T* z, int64_t size) {
  int64_t best = 0;
  T best_value = -std::numeric_limits<T>::infinity();
  for (int64_t i = 0; i < size; ++i) {
    T value;
    std::memcpy(&value, z + i, sizeof(T));
    if (std::isnan(value)) return i;
    if (value > best_value) {
      best = i;
      best_value = value;
    }
  }
  return best;
}

template <typename T>
HWY_INLINE void FillWithNan(T* gradient, int64_t size) {
  const T nan = std::numeric_limits<T>::quiet_NaN();
  for (int64_t i = 0; i < size; ++i) {
    std::memcpy(gradient + i, &nan, sizeof(T));
  }
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
