// The batch of a request: its logits and labels as the core takes them.
#ifndef LOSSD_SERVER_RPC_BATCH_H_
#define LOSSD_SERVER_RPC_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "server/compute/loss.h"
#include "server/rpc/class_axis.h"
#include "server/rpc/tensor.h"
#include "server/rpc/wire/buffer.h"
#include "server/rpc/wire/requests.h"

namespace lossd::rpc {

// A tensor's copy with the classes last.
struct MovedTensor {
  wire::Buffer bytes;
  std::vector<wire::Run> pieces;  // of it: one
};

// A batch and the shapes that its results are sent in. Views into the request,
// and into itself: what is viewed stays where it is when this is moved.
struct BatchView {
  int64_t rows = 0;
  int64_t classes = 0;
  ClassAxisLayout class_axis;  // of the request's logits, and of the results
  compute::ElementType logits_type = compute::ElementType::kFloat32;
  compute::Pieces logits;  // the classes last; none where they come in chunks
  compute::ElementType gradient_type = compute::ElementType::kFloat32;
  // Class indices, or where there is a `targets_type` a target for each logit.
  compute::ClassIndices labels;
  std::optional<compute::ElementType> targets_type;
  compute::Pieces targets;                // the classes last
  std::vector<double> row_weights;        // [rows] or empty
  std::vector<double> upstream_gradient;  // [rows], one or empty
  Shape logits_shape;
  std::vector<int64_t> rows_shape;  // without the class axis
  // Class indices that came in several pieces, in one.
  std::vector<std::byte> gathered_labels;
  // What the request has with the classes elsewhere, if it does.
  MovedTensor moved_logits;
  MovedTensor moved_targets;

  compute::Batch batch() const {
    compute::Batch batch;
    batch.rows = rows;
    batch.classes = classes;
    batch.logits_type = logits_type;
    batch.logits = logits;
    batch.labels = labels;
    if (targets_type) {
      batch.labels = compute::FloatTargets{*targets_type, targets};
    }
    batch.row_weights = row_weights;
    batch.upstream_gradient = upstream_gradient;
    return batch;
  }
};

// Where a batch's logits are: in the request, or in messages that follow it.
enum class LogitsSource { kRequest, kChunks };

// Views the batch of `request`.
//
// Errors: InvalidArgument: a tensor that breaks a rule of lossd.v1.Tensor;
//   logits that are no floats, of rank 0 or without classes; a class_axis
//   outside [-rank, rank); labels, row_weights or an upstream_gradient of
//   another shape than the logits ask for; a row weight or an upstream gradient
//   out of the range of factors; a gradient_data_type that is no float type.
//   For kChunks: contents of the logits; a class axis that is not the last.
// Cost: a copy of logits and targets whose classes are not last, and of class
//   indices and row factors that lie in pieces; none otherwise.
// The result must not outlive `request`.
absl::StatusOr<BatchView> BatchFromProto(
    const wire::LossRequest& request,
    LogitsSource logits = LogitsSource::kRequest);

// Leaves in `pieces` the same elements with the classes last, and the room that
// they take in `moved`.
void MoveClassesLast(const ClassAxisLayout& layout, compute::ElementType type,
                     compute::Pieces& pieces, MovedTensor& moved);

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_BATCH_H_
