#ifndef LOSSD_SERVER_COMPUTE_ROW_SOURCE_H_
#define LOSSD_SERVER_COMPUTE_ROW_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/types/span.h"

namespace lossd::compute {

// A tensor's bytes, little-endian and row-major, in one run of memory or
// several: the wire hands them over as they arrived. Runs may have any length,
// 0 included, any alignment, and may end inside a row or an element.
using Pieces = absl::Span<const absl::Span<const std::byte>>;

// Hands out the rows of a tensor that lies in pieces, or of a run of its rows.
//
// Threads: const members may be called from several threads at once.
// Cost: nothing for a row inside one piece; a copy for one that straddles.
class RowSource {
 public:
  // `pieces` and their bytes outlive this object and hold whole rows of
  // `row_bytes` >= 1 each, the first of them called `first_row`.
  RowSource(Pieces pieces, int64_t row_bytes, int64_t first_row = 0);

  // The bytes of `row`, in one run: where they lie, or copied into `scratch`,
  // which then keeps them until it is used again.
  const std::byte* Row(int64_t row, std::vector<std::byte>& scratch) const;

  // The bytes of `row` where they lie; null if it straddles pieces.
  const std::byte* RowInPlace(int64_t row) const;

 private:
  // The piece that holds the row's first byte, and where in it.
  std::pair<size_t, int64_t> Find(int64_t row) const;

  Pieces pieces_;
  int64_t row_bytes_;
  int64_t first_row_;
  std::vector<int64_t> ends_;  // running sum of lengths; empty for one piece
};

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_ROW_SOURCE_H_
