#ifndef LOSSD_CLIENT_LOSSCTL_DIFFERENCES_H_
#define LOSSD_CLIENT_LOSSCTL_DIFFERENCES_H_

#include <vector>

#include "absl/status/statusor.h"
#include "client/lossd/client.h"

namespace lossd::lossctl {

// The step h of a central difference at `z`: 2^-17 max(1, abs(z)), so that z +
// h and z - h keep their distance. It is near the cube root of the float64
// epsilon, where the truncation, h^2 f'''/6, and the rounding, epsilon f / h,
// are alike: about 1e-10 for a loss near 1.
double DifferenceStep(double z);

// How many times more sharply than plain softmax cross-entropy `loss` may bend,
// by its scale, cap, temperature or gamma; >= 1. Steps are divided by it.
double SteepnessOf(const LossSpec& loss);

// Returns [rows * classes] central differences of each row's own loss,
//
//   (l_r(z_rc + h) - l_r(z_rc - h)) / 2h,
//
// from losses that the service computes: two rows for each element, many rows
// in one call, no gradient asked for. Row weights are part of the losses. Of
// `options` the reduction and the divisor, of `batch` the upstream gradient are
// not used. REQUIRES: finite logits; sizes as Batch says. Errors:
// those of Client::ComputeLoss.
absl::StatusOr<std::vector<double>> CentralDifferences(
    const Client& client, const Batch<double>& batch, LossOptions options,
    const CallOptions& call);

}  // namespace lossd::lossctl

#endif  // LOSSD_CLIENT_LOSSCTL_DIFFERENCES_H_
