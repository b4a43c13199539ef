// The batch of a request: its logits and labels as the core takes them.
#ifndef LOSSD_SERVER_RPC_BATCH_H_
#define LOSSD_SERVER_RPC_BATCH_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lossd/v1/loss_service.pb.h"
#include "server/compute/loss.h"
#include "server/rpc/tensor.h"
#include "server/rpc/unbuilt.h"

namespace lossd::rpc {

// A batch and the shapes that its results are sent in. Views into the request.
struct BatchView {
  int64_t rows = 0;
  int64_t classes = 0;
  compute::ElementType logits_type = compute::ElementType::kFloat32;
  absl::Span<const std::byte> logits_bytes;
  compute::ElementType gradient_type = compute::ElementType::kFloat32;
  compute::ClassIndices labels;
  Shape logits_shape;
  Shape labels_shape;

  // Views this BatchView, too: it must stay where it is while the batch is
  // used.
  compute::Batch batch() const {
    compute::Batch batch;
    batch.rows = rows;
    batch.classes = classes;
    batch.logits_type = logits_type;
    batch.logits = {&logits_bytes, 1};
    batch.labels = labels;
    return batch;
  }
};

// Views the batch of `request`. What this build lacks goes to `unbuilt`; the
// result is then not to be used.
//
// Errors: InvalidArgument: a tensor that breaks a rule of lossd.v1.Tensor;
// logits
//   that are no floats, of rank 0 or without classes; a class_axis outside
//   [-rank, rank); labels, row_weights or an upstream_gradient of another shape
//   than the logits ask for; a gradient_data_type that is no float type.
// The result must not outlive `request`.
absl::StatusOr<BatchView> BatchFromProto(const v1::ComputeLossRequest& request,
                                         Unbuilt& unbuilt);

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_BATCH_H_
