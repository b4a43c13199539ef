// Factors of a request: numbers that losses and gradients are multiplied by.
#ifndef LOSSD_SERVER_RPC_FACTORS_H_
#define LOSSD_SERVER_RPC_FACTORS_H_

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/rpc/tensor.h"

namespace lossd::rpc {

// The core's range of factors, and its words for it.
bool IsFactor(double value);
inline constexpr std::string_view kFactorRange = "0 or [2^-100, 2^100]";

enum class FactorSign { kNotNegative, kAny };

// The elements of `tensor`, found at `field`, each exactly as it is.
//
// Errors: InvalidArgument: one out of the range of factors, the first, named as
//   "FIELD[INDEX]".
// REQUIRES: a float type.
absl::StatusOr<std::vector<double>> FactorsOf(const TensorView& tensor,
                                              std::string_view field,
                                              FactorSign sign);

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_FACTORS_H_
