// The loss of a request and its options.
#ifndef LOSSD_SERVER_RPC_LOSS_SPEC_H_
#define LOSSD_SERVER_RPC_LOSS_SPEC_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lossd/v1/loss_service.pb.h"
#include "server/compute/loss.h"
#include "server/rpc/unbuilt.h"

namespace lossd::rpc {

// A loss as the core takes it, and the tensors that it views: they stay where
// they are when this is moved.
struct OwnedLossSpec {
  OwnedLossSpec() = default;
  OwnedLossSpec(OwnedLossSpec&&) = default;
  OwnedLossSpec& operator=(OwnedLossSpec&&) = default;

  compute::LossSpec spec;
  std::vector<double> class_weights;  // or positive ones
};

// Converts the loss of a batch of `classes` classes; `spec` with no loss set
// means softmax_cross_entropy with its defaults.
//
// Errors: InvalidArgument: an option not finite or out of its range; a tensor
//   option of another shape than [classes] or of no float type.
// A loss or option that this build lacks goes to `unbuilt`; the result is then
// not to be used.
absl::StatusOr<OwnedLossSpec> LossSpecFromProto(const v1::LossSpec& spec,
                                                int64_t classes,
                                                Unbuilt& unbuilt);

// The contract's names of the losses that LossSpecFromProto builds, in the
// order of LossSpec's fields.
std::vector<std::string> BuiltLosses();

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_LOSS_SPEC_H_
