// What is looked for in a row of logits. Included once per instruction set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_SEARCH_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_SEARCH_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_SEARCH_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_SEARCH_INL_H_
#endif

#include <cmath>
#include <limits>
#include <type_traits>

#include "hwy/highway.h"
#include "server/compute/exact/chunks-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// What elements of T are compared as.
template <typename T>
using LaneOf = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <class D, typename T>
HWY_INLINE hn::Vec<D> LoadLanes(D d, const T* p) {
  if constexpr (std::is_same_v<T, double>) {
    return hn::LoadU(d, p);
  } else {
    return LoadFloats(d, p);
  }
}

struct Maximum {
  double value;
  bool in_range;  // all elements; then `value` is right
};

// The largest of values[0 .. size) of T, and whether all are in [low, high]:
// one pass for both.
template <typename T>
HWY_INLINE Maximum MaximumInRange(const std::byte* values, int64_t size,
                                  double low, double high) {
  using Lane = LaneOf<T>;
  const hn::CappedTag<Lane, kChunk> d;
  constexpr int64_t kN = hn::MaxLanes(d);
  const T* const p = reinterpret_cast<const T*>(values);
  const auto lows = hn::Set(d, static_cast<Lane>(low));
  const auto highs = hn::Set(d, static_cast<Lane>(high));
  // False for NaN, too.
  const auto in_range = [&](auto x) HWY_ATTR {
    return hn::And(hn::Ge(x, lows), hn::Le(x, highs));
  };
  auto max0 = lows, max1 = lows;
  auto ok0 = in_range(lows), ok1 = ok0;
  int64_t i = 0;
  for (; i + 2 * kN <= size; i += 2 * kN) {
    const auto a = LoadLanes(d, p + i);
    const auto b = LoadLanes(d, p + i + kN);
    max0 = hn::Max(max0, a);
    max1 = hn::Max(max1, b);
    ok0 = hn::And(ok0, in_range(a));
    ok1 = hn::And(ok1, in_range(b));
  }
  Maximum result = {hn::GetLane(hn::MaxOfLanes(d, hn::Max(max0, max1))),
                    hn::AllTrue(d, hn::And(ok0, ok1))};
  for (; i < size; ++i) {
    const double value = ToDouble(LoadElement<T>(values, i));
    if (!(value >= low && value <= high)) result.in_range = false;
    if (value > result.value) result.value = value;
  }
  return result;
}

// The largest logit; not in range where one is NaN or +inf, or all are -inf,
// also once they are scaled.
template <typename T>
HWY_INLINE Maximum MaximumOfRow(const RowTask& task) {
  using Lane = LaneOf<T>;
  constexpr double kLargest = std::numeric_limits<Lane>::max();
  Maximum max =
      MaximumInRange<T>(task.logits, task.classes,
                        -std::numeric_limits<double>::infinity(), kLargest);
  if (!std::isfinite(max.value * task.scale)) max.in_range = false;
  return max;
}

// The first index of `value` among values[0 .. size) of T, or size.
template <typename T>
HWY_INLINE int64_t FirstIndexOf(double value, const std::byte* values,
                                int64_t size) {
  using Lane = LaneOf<T>;
  const hn::CappedTag<Lane, kChunk> d;
  constexpr int64_t kN = hn::MaxLanes(d);
  const T* const p = reinterpret_cast<const T*>(values);
  const auto wanted = hn::Set(d, static_cast<Lane>(value));
  int64_t i = 0;
  for (; i + kN <= size; i += kN) {
    const auto found = hn::Eq(LoadLanes(d, p + i), wanted);
    if (const intptr_t lane = hn::FindFirstTrue(d, found); lane >= 0) {
      return i + lane;
    }
  }
  for (; i < size; ++i) {
    if (ToDouble(LoadElement<T>(values, i)) == value) return i;
  }
  return size;
}

// The prediction of a row with NaN or +inf: the first NaN, as in PyTorch, else
// the first of the largest. Rare, so plain.
HWY_INLINE int64_t PredictionOfNonFiniteRow(const RowTask& task) {
  int64_t best = 0;
  double best_value = -std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < task.classes; ++i) {
    const double value = task.Logit(i);
    if (std::isnan(value)) return i;
    if (value > best_value) {
      best = i;
      best_value = value;
    }
  }
  return best;
}

// The canonical quiet NaN of `type` in out[0 .. size).
HWY_INLINE void FillWithNan(ElementType type, int64_t size, std::byte* out) {
  for (int64_t i = 0; i < size; ++i) {
    StoreElement(type, std::numeric_limits<double>::quiet_NaN(), out, i);
  }
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
