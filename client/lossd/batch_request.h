#ifndef LOSSD_CLIENT_LOSSD_BATCH_REQUEST_H_
#define LOSSD_CLIENT_LOSSD_BATCH_REQUEST_H_

#include <cstdint>
#include <limits>
#include <vector>

#include "absl/status/status.h"
#include "client/lossd/options.h"
#include "lossd/v1/loss_service.pb.h"

namespace lossd {

// The most bytes of a message: protobuf's own limit, less what shapes and
// lengths may take.
inline constexpr int64_t kMaxMessageBytes =
    std::numeric_limits<int32_t>::max() - 64 * 1024;

// What has to fit into one message beside the batch's labels and weights.
struct MessageNeeds {
  bool one_row = false;     // logits of one row, in a message of their own, or
                            // all of them
  int64_t other_bytes = 0;  // of what goes with the batch
};

// Checks the sizes of `batch` and of the loss's weights and fills an empty
// `request` with them and with `options`: everything but what concerns outputs
// and the logits' elements, which have type and shape alone. A batch of no
// rows does not say what its labels are: the loss does. T is float or double.
// Errors: InvalidArgument: rows, classes or inner out of its range; a size that
//   contradicts them; both of labels and targets, or neither.
//   ResourceExhausted: more than a message can hold of what `needs` says.
template <typename T>
absl::Status BatchToProto(const Batch<T>& batch, const LossOptions& options,
                          const MessageNeeds& needs,
                          v1::ComputeLossRequest* request);

// The shape in which the logits are sent, the class axis last or at 1.
// REQUIRES: a batch that BatchToProto accepts.
template <typename T>
std::vector<int64_t> LogitsShape(const Batch<T>& batch);

}  // namespace lossd

#endif  // LOSSD_CLIENT_LOSSD_BATCH_REQUEST_H_
