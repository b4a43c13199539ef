#include "server/compute/row_source.h"

#include <algorithm>
#include <cstring>

namespace lossd::compute {

RowSource::RowSource(Pieces pieces, int64_t row_bytes, int64_t first_row)
    : pieces_(pieces), row_bytes_(row_bytes), first_row_(first_row) {
  if (pieces_.size() == 1) return;
  ends_.reserve(pieces_.size());
  int64_t end = 0;
  for (const auto& piece : pieces_) {
    end += static_cast<int64_t>(piece.size());
    ends_.push_back(end);
  }
}

std::pair<size_t, int64_t> RowSource::Find(int64_t row) const {
  const int64_t begin = (row - first_row_) * row_bytes_;
  if (ends_.empty()) return {0, begin};
  const size_t piece =
      std::upper_bound(ends_.begin(), ends_.end(), begin) - ends_.begin();
  const int64_t piece_begin =
      ends_[piece] - static_cast<int64_t>(pieces_[piece].size());
  return {piece, begin - piece_begin};
}

const std::byte* RowSource::RowInPlace(int64_t row) const {
  const auto [piece, offset] = Find(row);
  const auto& bytes = pieces_[piece];
  const bool whole = offset + row_bytes_ <= static_cast<int64_t>(bytes.size());
  return whole ? bytes.data() + offset : nullptr;
}

const std::byte* RowSource::Row(int64_t row,
                                std::vector<std::byte>& scratch) const {
  if (const std::byte* bytes = RowInPlace(row); bytes != nullptr) return bytes;
  auto [piece, offset] = Find(row);
  if (static_cast<int64_t>(scratch.size()) < row_bytes_) {
    scratch.resize(row_bytes_);
  }
  for (int64_t copied = 0; copied < row_bytes_; ++piece, offset = 0) {
    const int64_t length =
        std::min(static_cast<int64_t>(pieces_[piece].size()) - offset,
                 row_bytes_ - copied);
    if (length == 0) continue;
    std::memcpy(scratch.data() + copied, pieces_[piece].data() + offset,
                length);
    copied += length;
  }
  return scratch.data();
}

}  // namespace lossd::compute
