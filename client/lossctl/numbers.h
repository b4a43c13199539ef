// Lists of numbers as flags give them.
#ifndef LOSSD_CLIENT_LOSSCTL_NUMBERS_H_
#define LOSSD_CLIENT_LOSSCTL_NUMBERS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lossd::lossctl {

// Reads the value of `flag`: the elements of the file that `text` names, if it
// ends in .npy, and else its numbers, parted by commas.
// Errors: InvalidArgument: what ReadNpy says; a piece that is no number, named.
absl::StatusOr<std::vector<double>> ReadNumbers(const std::string& flag,
                                                const std::string& text);

// Errors: InvalidArgument: `count`, the numbers of `flag`, is not `want`, the
// number of the batch's `things`.
absl::Status CheckCount(const std::string& flag, size_t count, int64_t want,
                        const std::string& things);

}  // namespace lossd::lossctl

#endif  // LOSSD_CLIENT_LOSSCTL_NUMBERS_H_
