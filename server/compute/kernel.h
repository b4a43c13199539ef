// Which instruction set the core computes on. The bits of the results do not
// depend on it.
#ifndef LOSSD_SERVER_COMPUTE_KERNEL_H_
#define LOSSD_SERVER_COMPUTE_KERNEL_H_

#include <string>
#include <string_view>
#include <vector>

namespace lossd::compute {

// The kernels that are built in and that this machine can run, the best first,
// as Highway names them: "AVX3", "AVX2", "SCALAR".
std::vector<std::string> AvailableKernels();

// The one in use; the best, unless another was selected.
std::string_view ActiveKernel();

// Makes the whole process compute on `name`, for support and tests.
//
// REQUIRES: `name` is one of AvailableKernels(); nothing is being computed.
void SelectKernel(std::string_view name);

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_KERNEL_H_
