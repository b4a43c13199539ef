// The batch of a request: its logits and labels as the core takes them.
#ifndef LOSSD_SERVER_RPC_BATCH_H_
#define LOSSD_SERVER_RPC_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lossd/v1/loss_service.pb.h"
#include "server/compute/loss.h"
#include "server/rpc/class_axis.h"
#include "server/rpc/tensor.h"

namespace lossd::rpc {

// A batch and the shapes that its results are sent in. Views into the request,
// and into itself: what is viewed stays where it is when this is moved.
struct BatchView {
  int64_t rows = 0;
  int64_t classes = 0;
  ClassAxisLayout class_axis;  // of the request's logits, and of the results
  compute::ElementType logits_type = compute::ElementType::kFloat32;
  absl::Span<const std::byte> logits_bytes;  // the classes last
  compute::ElementType gradient_type = compute::ElementType::kFloat32;
  // Class indices, or where there is a `targets_type` a target for each logit.
  compute::ClassIndices labels;
  std::optional<compute::ElementType> targets_type;
  absl::Span<const std::byte> targets_bytes;  // the classes last
  std::vector<double> row_weights;            // [rows] or empty
  std::vector<double> upstream_gradient;      // [rows], one or empty
  Shape logits_shape;
  std::vector<int64_t> rows_shape;  // without the class axis
  // What the request has with the classes elsewhere, if it does.
  std::unique_ptr<std::byte[]> moved_logits;
  std::unique_ptr<std::byte[]> moved_targets;

  // Views this BatchView, too: it must stay where it is while the batch is
  // used.
  compute::Batch batch() const {
    compute::Batch batch;
    batch.rows = rows;
    batch.classes = classes;
    batch.logits_type = logits_type;
    batch.logits = {&logits_bytes, 1};
    batch.labels = labels;
    if (targets_type) {
      batch.labels = compute::FloatTargets{*targets_type, {&targets_bytes, 1}};
    }
    batch.row_weights = row_weights;
    batch.upstream_gradient = upstream_gradient;
    return batch;
  }
};

// Views the batch of `request`.
//
// Errors: InvalidArgument: a tensor that breaks a rule of lossd.v1.Tensor;
//   logits that are no floats, of rank 0 or without classes; a class_axis
//   outside [-rank, rank); labels, row_weights or an upstream_gradient of
//   another shape than the logits ask for; a row weight or an upstream gradient
//   out of the range of factors; a gradient_data_type that is no float type.
// Cost: a copy of logits and targets whose classes are not last, none
//   otherwise.
// The result must not outlive `request`.
absl::StatusOr<BatchView> BatchFromProto(const v1::ComputeLossRequest& request);

// Leaves in `bytes` the same elements with the classes last, and the room that
// they take in `moved`.
void MoveClassesLast(const ClassAxisLayout& layout, compute::ElementType type,
                     absl::Span<const std::byte>& bytes,
                     std::unique_ptr<std::byte[]>& moved);

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_BATCH_H_
