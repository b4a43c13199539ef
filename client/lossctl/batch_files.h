// A batch as .npy files hold it.
#ifndef LOSSD_CLIENT_LOSSCTL_BATCH_FILES_H_
#define LOSSD_CLIENT_LOSSCTL_BATCH_FILES_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "client/lossctl/loss_flags.h"
#include "client/lossctl/npy.h"
#include "client/lossd/client.h"

namespace lossd::lossctl {

struct BatchFlags {
  std::string logits;
  std::string labels;
  int64_t class_axis = -1;  // negative: from the end
};

// Adds --logits and --labels, both required, and --class-axis; `flags` outlives
// the parse.
void AddBatchFlags(CLI::App* command, BatchFlags* flags);

// The arrays read. T is the logits' type, float or double.
template <typename T>
struct BatchArrays {
  Shape logits_shape;
  Shape rows_shape;  // the same without the class axis
  int64_t rows = 0;
  int64_t classes = 0;
  int64_t inner = 1;  // as Batch has it
  std::vector<T> logits;
  std::vector<int64_t> labels;  // class indices, or else
  std::vector<T> targets;

  // A view of these arrays and of what `flags` read for them.
  Batch<T> View(const LossFlags& flags) const;
};

using AnyBatchArrays = std::variant<BatchArrays<float>, BatchArrays<double>>;

// Reads both files. Integer labels are class indices, float labels targets.
// Errors: InvalidArgument, naming the file: what ReadNpy says; logits that are
//   no floats or have no class; a class axis that they do not have; labels of
//   another shape than the logits', without the class axis for indices; targets
//   that the logits' type does not hold exactly.
absl::StatusOr<AnyBatchArrays> ReadBatch(const BatchFlags& flags);

}  // namespace lossd::lossctl

#endif  // LOSSD_CLIENT_LOSSCTL_BATCH_FILES_H_
