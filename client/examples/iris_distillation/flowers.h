#ifndef LOSSD_CLIENT_EXAMPLES_IRIS_DISTILLATION_FLOWERS_H_
#define LOSSD_CLIENT_EXAMPLES_IRIS_DISTILLATION_FLOWERS_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "client/examples/iris/dataset.h"

namespace lossd::iris {

// The features and after them their squares and products in pairs.
Dataset WithProducts(const Dataset& dataset);

// The first `features` features only.
Dataset FirstFeatures(const Dataset& dataset, int64_t features);

// The given rows only, in their order.
Dataset RowsOf(const Dataset& dataset, absl::Span<const int64_t> rows);

// 0 .. rows - 1 in an order that depends on `seed` alone, on every machine.
std::vector<int64_t> Shuffled(int64_t rows, uint64_t seed);

}  // namespace lossd::iris

#endif  // LOSSD_CLIENT_EXAMPLES_IRIS_DISTILLATION_FLOWERS_H_
