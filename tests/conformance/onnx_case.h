// ONNX's node tests of the two losses that lossd shares with ONNX.
#ifndef LOSSD_TESTS_CONFORMANCE_ONNX_CASE_H_
#define LOSSD_TESTS_CONFORMANCE_ONNX_CASE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lossd/v1/loss_service.pb.h"
#include "tests/conformance/onnx.pb.h"

namespace lossd::conformance {

// One operator, values for its inputs, and what it has to answer.
struct OnnxCase {
  onnx::Node node;
  std::vector<onnx::Tensor> inputs;   // scores, labels and maybe weights
  std::vector<onnx::Tensor> outputs;  // loss and maybe log-probabilities
};

// Where Debian's libonnx-testdata has its node tests, a folder for each.
std::string OnnxFolder();

// Reads the case `name`, as in "test_sce_mean".
// Errors: NotFound: a file that is not there, which names the package that has
//   it; DataLoss: one that is no message of its kind.
absl::StatusOr<OnnxCase> ReadOnnxCase(const std::string& name);

// The whole of a file. Errors: NotFound, naming it and the package.
absl::StatusOr<std::string> ReadOnnxFile(const std::string& path);

// What lossd is asked instead: SoftmaxCrossEntropyLoss is
// softmax_cross_entropy, NegativeLogLikelihoodLoss negative_log_likelihood;
// ONNX's classes lie on axis 1.
// Errors: Unimplemented: an operator, attribute or data type of neither.
absl::StatusOr<v1::ComputeLossRequest> RequestOf(const OnnxCase& onnx_case);

}  // namespace lossd::conformance

#endif  // LOSSD_TESTS_CONFORMANCE_ONNX_CASE_H_
