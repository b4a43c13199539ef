#ifndef LOSSD_CLIENT_EXAMPLES_IRIS_DATASET_H_
#define LOSSD_CLIENT_EXAMPLES_IRIS_DATASET_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lossd::iris {

struct Dataset {
  int64_t rows = 0;
  int64_t features = 0;
  std::vector<double> values;              // [rows * features], row-major
  std::vector<int64_t> labels;             // [rows], an index of class_names
  std::vector<std::string> feature_names;  // [features]
  std::vector<std::string> class_names;    // in the order of first appearance
};

// Reads a CSV file: a line of names, then one flower a line, its class last.
// Errors: InvalidArgument, naming file and line: a field that is no finite
// number,
//   a line of another length; a file without flowers.
absl::StatusOr<Dataset> ReadDataset(const std::string& path);

// Moves and scales each feature to mean 0 and variance 1; a constant one
// becomes 0.
void Standardize(Dataset* dataset);

// Standardizes each feature and then removes the
// correlations (by the inverse Cholesky factor of their matrix). With an
// intercept in the model it is a change of its parameters and of nothing else:
// every loss that was possible still is. It makes the optimizer's problem
// round. Errors: InvalidArgument: a feature that follows linearly from those
// before it.
absl::Status Whiten(Dataset* dataset);

}  // namespace lossd::iris

#endif  // LOSSD_CLIENT_EXAMPLES_IRIS_DATASET_H_
