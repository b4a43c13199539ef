#ifndef LOSSD_CLIENT_EXAMPLES_BIGRAM_SAMPLE_H_
#define LOSSD_CLIENT_EXAMPLES_BIGRAM_SAMPLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"

namespace lossd::bigram {

// Draws `count` names from `probabilities`, [classes * classes]: p(b | a) at
// [a, b]. From the start on, each character by the one before it, to the end;
// the 50th at the latest. A seed gives the same names everywhere.
std::vector<std::string> SampleNames(absl::Span<const double> probabilities,
                                     int count, uint64_t seed);

}  // namespace lossd::bigram

#endif  // LOSSD_CLIENT_EXAMPLES_BIGRAM_SAMPLE_H_
