// Quantiles of measured values.
#ifndef LOSSD_CLIENT_LOSSCTL_QUANTILES_H_
#define LOSSD_CLIENT_LOSSCTL_QUANTILES_H_

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>

#include "absl/types/span.h"

namespace lossd::lossctl {

// Returns the least value that at least a share `q` of `sorted` is not above
// (the nearest rank): one of them, never a mean of two.
//
// REQUIRES: `sorted` is ascending and not empty; q is in [0, 1].
inline double Quantile(absl::Span<const double> sorted, double q) {
  assert(!sorted.empty() && q >= 0.0 && q <= 1.0);
  // 0.07 * 100 is a little above 7.
  const double rank = std::ceil(q * static_cast<double>(sorted.size()) - 1e-6);
  return sorted[static_cast<size_t>(std::max(rank, 1.0)) - 1];
}

}  // namespace lossd::lossctl

#endif  // LOSSD_CLIENT_LOSSCTL_QUANTILES_H_
