#ifndef LOSSD_CLIENT_EXAMPLES_BIGRAM_NAMES_H_
#define LOSSD_CLIENT_EXAMPLES_BIGRAM_NAMES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace lossd::bigram {

// 0: a name's start and its end; 1 to 26: a to z.
inline constexpr int64_t kClasses = 27;

// Every pair of neighbours in every name, start and end included: "ab" gives
// (0, 1), (1, 2) and (2, 0). A row of the batch is a pair.
struct Pairs {
  int64_t names = 0;
  std::vector<uint8_t> previous;  // [rows], in [0, kClasses)
  std::vector<int64_t> next;      // [rows], in [0, kClasses)

  int64_t rows() const { return static_cast<int64_t>(next.size()); }
};

// Reads a file of names, one a line, of nothing but a to z; the last line may
// end without a newline.
// Errors: InvalidArgument, naming the file: it cannot be read or holds no name;
//   naming line and byte, both from 1: a byte that is no letter from a to z; an
//   empty line.
absl::StatusOr<Pairs> ReadNames(const std::string& path);

}  // namespace lossd::bigram

#endif  // LOSSD_CLIENT_EXAMPLES_BIGRAM_NAMES_H_
