#include "server/rpc/factors.h"

#include <fmt/format.h>

#include <cmath>

#include "server/compute/element_type.h"
#include "server/compute/loss.h"
#include "server/rpc/errors.h"

namespace lossd::rpc {
namespace {

// REQUIRES: a float type.
std::vector<double> DoublesOf(const TensorView& tensor) {
  std::vector<double> values(tensor.elements);
  std::vector<std::byte> scratch;
  const std::byte* const bytes = tensor.Contiguous(scratch);
  compute::WithElementType(
      *FloatTypeFromProto(tensor.data_type), [&](auto zero) {
        for (int64_t i = 0; i < tensor.elements; ++i) {
          values[i] =
              compute::ToDouble(compute::LoadElement<decltype(zero)>(bytes, i));
        }
      });
  return values;
}

}  // namespace

bool IsFactor(double value) {
  return value == 0.0 ||
         (value >= compute::kMinFactor && value <= compute::kMaxFactor);
}

absl::StatusOr<std::vector<double>> FactorsOf(const TensorView& tensor,
                                              std::string_view field,
                                              FactorSign sign) {
  std::vector<double> values = DoublesOf(tensor);
  for (size_t i = 0; i < values.size(); ++i) {
    const double value = values[i];
    if (IsFactor(sign == FactorSign::kAny ? std::abs(value) : value)) continue;
    return OutOfRange(
        fmt::format("{}[{}]", field, i), fmt::format("{}", value),
        sign == FactorSign::kAny ? "0 or +-[2^-100, 2^100]" : kFactorRange);
  }
  return values;
}

}  // namespace lossd::rpc
