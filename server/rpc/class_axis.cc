#include "server/rpc/class_axis.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "server/compute/element_type.h"

namespace lossd::rpc {
namespace {

// What is read or written in one go: two cache lines. A tile of as many
// elements in both directions is at most 8 KiB, so it stays in the first cache
// whatever the tensor's strides: powers of 2 would let the lines of a tile that
// is walked in place evict each other.
constexpr int64_t kRunBytes = 128;

// Transposes the tile [height, width] at `in`, of rows `in_stride` elements
// apart, to `out`.
template <typename T>
void TransposeTile(int64_t height, int64_t width, const std::byte* in,
                   int64_t in_stride, std::byte* out, int64_t out_stride) {
  constexpr int64_t kTile = kRunBytes / static_cast<int64_t>(sizeof(T));
  T tile[kTile][kTile];
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      tile[x][y] = compute::LoadElement<T>(in, y * in_stride + x);
    }
  }
  for (int64_t x = 0; x < width; ++x) {
    std::memcpy(out + x * out_stride * static_cast<int64_t>(sizeof(T)), tile[x],
                height * sizeof(T));
  }
}

// Transposes each of `count` matrices [height, width].
template <typename T>
void Transpose(int64_t count, int64_t height, int64_t width,
               const std::byte* in, std::byte* out) {
  constexpr int64_t kBytes = sizeof(T);
  constexpr int64_t kTile = kRunBytes / kBytes;
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t y = 0; y < height; y += kTile) {
      for (int64_t x = 0; x < width; x += kTile) {
        TransposeTile<T>(std::min(kTile, height - y),
                         std::min(kTile, width - x),
                         in + (y * width + x) * kBytes, width,
                         out + (x * height + y) * kBytes, height);
      }
    }
    in += height * width * kBytes;
    out += height * width * kBytes;
  }
}

void Transpose(int64_t element_bytes, int64_t count, int64_t height,
               int64_t width, const std::byte* in, std::byte* out) {
  switch (element_bytes) {
    case 2:
      return Transpose<uint16_t>(count, height, width, in, out);
    case 4:
      return Transpose<uint32_t>(count, height, width, in, out);
    default:
      assert(element_bytes == 8);
      return Transpose<uint64_t>(count, height, width, in, out);
  }
}

}  // namespace

ClassAxisLayout LayoutAround(Shape shape, int64_t axis) {
  ClassAxisLayout layout;
  layout.classes = shape[axis];
  // Beside an axis of length 0 the others may be of any length.
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) {
    layout.outer = 0;
    return layout;
  }
  for (int64_t i = 0; i < axis; ++i) layout.outer *= shape[i];
  for (size_t i = axis + 1; i < shape.size(); ++i) layout.inner *= shape[i];
  return layout;
}

void MoveClassesLast(const ClassAxisLayout& layout, int64_t element_bytes,
                     const std::byte* in, std::byte* out) {
  Transpose(element_bytes, layout.outer, layout.classes, layout.inner, in, out);
}

void MoveClassesBack(const ClassAxisLayout& layout, int64_t element_bytes,
                     const std::byte* in, std::byte* out) {
  Transpose(element_bytes, layout.outer, layout.inner, layout.classes, in, out);
}

}  // namespace lossd::rpc
