#ifndef LOSSD_CLIENT_LOSSCTL_LOSS_FLAGS_H_
#define LOSSD_CLIENT_LOSSCTL_LOSS_FLAGS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "client/lossd/client.h"

namespace lossd::lossctl {

// The flags that say what a batch is put through: the loss, one flag for each
// option of any loss, named as the contract's field, and what holds for every
// loss. Stays where it is: the parser and the spans point into it.
class LossFlags {
 public:
  LossFlags() = default;
  LossFlags(const LossFlags&) = delete;
  LossFlags& operator=(const LossFlags&) = delete;

  // Adds the flags to `command`, which must not outlive this; its --help lists
  // the losses with their options.
  void AddTo(CLI::App* command);

  // Makes of the parsed flags what the members below return.
  // Errors: InvalidArgument: a flag of another loss than the chosen one, naming
  //   both; a value that is no number; a file that cannot be read; numbers that
  //   are not as many as the batch's rows or classes.
  absl::Status Read(int64_t rows, int64_t classes);

  const LossOptions& options() const { return options_; }
  absl::Span<const double> row_weights() const { return row_weights_; }
  absl::Span<const double> upstream_gradient() const {
    return upstream_gradient_;
  }

 private:
  absl::Status ReadLoss(int64_t classes);
  absl::Status ReadRowFactors(int64_t rows);

  // As given.
  std::string loss_name_ = "softmax_cross_entropy";
  std::map<std::string, std::string> loss_options_;  // by flag
  std::optional<std::string> row_weights_text_;
  std::optional<std::string> upstream_gradient_text_;
  // As read.
  LossOptions options_;
  std::vector<double> class_factors_;  // what options_.loss points to
  std::vector<double> row_weights_;
  std::vector<double> upstream_gradient_;
};

// The losses, what labels they take, and their options with the defaults, one
// loss per paragraph.
std::string LossHelp();

}  // namespace lossd::lossctl

#endif  // LOSSD_CLIENT_LOSSCTL_LOSS_FLAGS_H_
