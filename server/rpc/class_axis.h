// Tensors whose classes are not their last axis, and the same with the classes
// last, as the core takes them. Pure: bytes in, bytes out.
#ifndef LOSSD_SERVER_RPC_CLASS_AXIS_H_
#define LOSSD_SERVER_RPC_CLASS_AXIS_H_

#include <cstddef>
#include <cstdint>

#include "server/rpc/tensor.h"

namespace lossd::rpc {

// A dense tensor seen from its class axis: [outer, classes, inner], the axes
// before and after it taken as one each.
//
// Row r of the batch, in results and in messages, holds the classes at
// [r / inner, :, r % inner]: rows are the other axes in row-major order.
struct ClassAxisLayout {
  int64_t outer = 1;
  int64_t classes = 1;
  int64_t inner = 1;

  // Whether the classes lie last in memory as it is: there is nothing to move.
  bool classes_last() const { return inner == 1 || classes == 1 || outer == 0; }
};

// REQUIRES: `axis` is an axis of `shape`, and a tensor of that shape was
// received, so that its elements are counted by an int64.
ClassAxisLayout LayoutAround(Shape shape, int64_t axis);

// Copies `in`, [outer, classes, inner], to `out`, [outer, inner, classes];
// MoveClassesBack the other way round.
//
// REQUIRES: elements of 2, 4 or 8 bytes; room for all of them at `out`, apart
// from `in`. Either may have any alignment.
// Cost: reads and writes each byte once, in whole cache lines where the axes
// are that long.
void MoveClassesLast(const ClassAxisLayout& layout, int64_t element_bytes,
                     const std::byte* in, std::byte* out);
void MoveClassesBack(const ClassAxisLayout& layout, int64_t element_bytes,
                     const std::byte* in, std::byte* out);

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_CLASS_AXIS_H_
