// A row's gradient and probabilities from its exponentials. Included once per
// instruction set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_GRADIENT_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_GRADIENT_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_GRADIENT_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_GRADIENT_INL_H_
#endif

#include <bit>
#include <cmath>
#include <cstring>

#include "absl/functional/function_ref.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "server/compute/exact/chunks-inl.h"
#include "server/compute/exact/elements-inl.h"
#include "server/compute/exact/rounding-inl.h"
#include "server/compute/exact/writers-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// What decides an element that is in doubt.
using DecideElement = absl::FunctionRef<double(int64_t)>;

// Fills out[begin .. end) but for the label.
template <bool kStream, typename T, typename Writer>
HWY_INLINE void WriteSpan(const RowTask& task, int64_t begin, int64_t end,
                          const Writer& writer, DecideElement decide, T* out) {
  constexpr ElementType kType = ElementTypeOf<T>();
  const auto redo = [&](int64_t i, int64_t redo_end) {
    for (; i < redo_end; ++i) {
      if (i == task.label) continue;
      const auto certain = RoundIfCertain(kType, writer.elements().At(i));
      const T exact = FromDouble<T>(certain ? *certain : decide(i));
      std::memcpy(out + i, &exact, sizeof(T));
    }
  };
  const auto part = [&](int64_t i, int64_t part_end) HWY_ATTR {
    T copy[kChunk];
    const bool certain = writer.template Write<false>(i, copy);
    CopyPart(copy, part_end - i, out + i);
    if (!certain) redo(i, part_end);
  };
  int64_t i = begin;
  if constexpr (kStream) {
    constexpr uintptr_t kAlignment = kChunk * sizeof(T);
    const uintptr_t past =
        reinterpret_cast<uintptr_t>(out + begin) % kAlignment;
    const int64_t before = (kAlignment - past) % kAlignment / sizeof(T);
    i = std::min(end, begin + before);
    if (i > begin) part(begin, i);
  }
  // A copy that nothing points to stays in registers, whatever is stored.
  const Writer whole = writer;
  for (; i + kChunk <= end; i += kChunk) {
    if (HWY_UNLIKELY(!whole.template Write<kStream>(i, out + i))) {
      redo(i, i + kChunk);
    }
  }
  if (i < end) part(i, end);
  if constexpr (kStream) hwy::FlushStream();
}

// WriteSpan for the whole row.
template <bool kStream, typename T, typename Writer>
HWY_INLINE void WriteRow(const RowTask& task, const Writer& writer,
                         DecideElement decide, std::byte* out) {
  ForEachSpan(task, [&](int64_t begin, int64_t end) HWY_ATTR {
    WriteSpan<kStream>(task, begin, end, writer, decide,
                       reinterpret_cast<T*>(out));
  });
}

// Fills out[classes] of `type`, not float64, but for the label, whatever the
// elements' size.
template <typename Elements>
HWY_INLINE void WriteIntervals(const RowTask& task, ElementType type,
                               const Elements& elements, DecideElement decide,
                               std::byte* out) {
  switch (type) {
    case ElementType::kFloat16:
      return WriteRow<false, Float16>(
          task, IntervalWriter<Float16, Elements>(elements), decide, out);
    case ElementType::kBFloat16:
      return WriteRow<false, BFloat16>(
          task, IntervalWriter<BFloat16, Elements>(elements), decide, out);
    case ElementType::kFloat32:
      return WriteRow<false, float>(
          task, IntervalWriter<float, Elements>(elements), decide, out);
    case ElementType::kFloat64:
      break;
  }
}

// WriteRow, past the caches if the task says so.
template <typename T, typename Writer>
HWY_INLINE void WriteWith(const RowTask& task, const Writer& writer,
                          DecideElement decide, std::byte* out) {
  if (task.streams_gradient && out == task.gradient) {
    WriteRow<true, T>(task, writer, decide, out);
  } else {
    WriteRow<false, T>(task, writer, decide, out);
  }
}

// The same for elements of one factor, known to a relative error; `normal`:
// those of float32 are normal numbers.
HWY_INLINE void WriteScaledExps(const RowTask& task, ElementType type,
                                ScaledExps elements, double relative_error,
                                bool normal, DecideElement decide,
                                std::byte* out) {
  // Where nothing is known, as of a total that cancels to 0, all are in doubt.
  if (!(relative_error < 0x1p-10)) {
    for (int64_t i = 0; i < task.classes; ++i) {
      if (i != task.label) StoreElement(type, decide(i), out, i);
    }
    return;
  }
  if (relative_error < 0x1p-30) {
    if (type == ElementType::kFloat32 && normal) {
      const NearMiddleWriter writer(
          elements, static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(
                        std::ceil(relative_error * 0x1p53)))));
      return WriteWith<float>(task, writer, decide, out);
    }
    if (type == ElementType::kFloat16) {
      return WriteWith<Float16>(task, NarrowWriter<Float16>(elements), decide,
                                out);
    }
    if (type == ElementType::kBFloat16) {
      return WriteWith<BFloat16>(task, NarrowWriter<BFloat16>(elements), decide,
                                 out);
    }
  }
  WriteIntervals(task, type, elements, decide, out);
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
