// Golden cases as they are read from their files: requests and exact answers.
#ifndef LOSSD_TESTS_GOLDEN_GOLDEN_REQUEST_H_
#define LOSSD_TESTS_GOLDEN_GOLDEN_REQUEST_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lossd/v1/loss_service.pb.h"
#include "server/compute/element_type.h"
#include "tests/golden/exact_math.h"

namespace lossd::golden {

using nlohmann::json;

// The file of this loss in tests/data, parsed. Throws what nlohmann::json does.
json ReadGoldenFile(const std::string& loss);

compute::ElementType TypeOf(const json& golden);

// The request that a case of `loss` says, for all the results it has.
// Throws, naming it, on a field or option that this does not know.
v1::ComputeLossRequest RequestOf(const std::string& loss, const json& golden);

// The same with the case's vector.
v1::ComputeHessianVectorProductRequest ProductRequestOf(const std::string& loss,
                                                        const json& golden);

// The exact numbers of "expected": those of a table row by row, one for a
// number alone.
Reals ExpectedOf(const json& golden, const std::string& name);

// A tensor's elements, widened. Throws unless it is of the case's type and has
// as many as `count`.
std::vector<double> ElementsOf(const json& golden, const v1::Tensor& tensor,
                               size_t count);

}  // namespace lossd::golden

#endif  // LOSSD_TESTS_GOLDEN_GOLDEN_REQUEST_H_
