// Named kinds of logits for tests over many inputs.
#ifndef LOSSD_TESTS_SUPPORT_DISTRIBUTIONS_H_
#define LOSSD_TESTS_SUPPORT_DISTRIBUTIONS_H_

#include <cstdint>
#include <ostream>
#include <random>
#include <string_view>
#include <vector>

#include "absl/types/span.h"

namespace lossd::testing {

using Random = std::mt19937_64;

enum class Distribution {
  kUniform,
  kNormal001,
  kNormal1,
  kNormal5,
  kNormal10,
  kNormal30,
  kMargin,             // 0 but for one class, 0 to 200 above
  kEqual,              // all the same
  kOffset,             // around 1e6; 1e3 in float16 and bfloat16
  kSubnormalLogits,    // multiples of T's smallest positive number
  kTinyProbabilities,  // results around T's smallest numbers
  kLogProbabilities,   // ln of a softmax: ln sum exp is next to 0
  kMasked,             // about half of the classes -inf
  kDominated,          // one class far above normal ones
};

absl::Span<const Distribution> AllDistributions();

// Letters, digits and underscores only.
std::string_view Name(Distribution distribution);

// So that a failing parameterized test says which distribution it ran.
void PrintTo(Distribution distribution, std::ostream* out);

// One row of `classes` logits of type T, any of the core's element types: drawn
// as doubles and rounded. The same `random` state gives the same row.
template <typename T>
std::vector<T> DrawRow(Distribution distribution, int64_t classes,
                       Random& random);

// Half of the time the class of the largest logit, else any class.
template <typename T>
int64_t DrawLabel(absl::Span<const T> row, Random& random);

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_SUPPORT_DISTRIBUTIONS_H_
