// Requests for Hessian-vector products as the core takes them, and the product
// as a response. Pure: no gRPC, no threads, no clock.
#ifndef LOSSD_SERVER_RPC_HESSIAN_H_
#define LOSSD_SERVER_RPC_HESSIAN_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/rpc/batch.h"
#include "server/rpc/convert.h"
#include "server/rpc/wire/requests.h"
#include "server/rpc/wire/responses.h"

namespace lossd::rpc {

// A request as the core takes it. Views into the request and into itself: what
// is viewed stays where it is when this is moved.
struct HessianQuery {
  LossQuery base;          // no output is wanted
  compute::Pieces vector;  // the classes last
  MovedTensor moved_vector;
};

// Converts the whole request. The result must not outlive it.
//
// Errors: InvalidArgument: no `base` or no `vector`; as LossQueryFromProto, the
//   outputs aside, fields named from "base." on; a vector that breaks a rule of
//   lossd.v1.Tensor, or of another shape or data type than the logits.
//   Unimplemented: nothing is wrong, but this build lacks a part, or the loss
//   has no second order here.
// Cost: a copy of tensors whose classes are not last, none otherwise.
absl::StatusOr<HessianQuery> HessianQueryFromProto(
    const wire::HessianRequest& request);

// As MemoryBytes of a loss: the product, and what is beside it.
int64_t MemoryBytes(const HessianQuery& query, int threads);

// Room for the product, as the response sends it but for its classes, which the
// core writes last.
//
// Errors: ResourceExhausted: it would not fit into one message of
//   `max_message_bytes`.
absl::StatusOr<wire::OutgoingTensor> ProductToProto(
    const HessianQuery& query, int64_t max_message_bytes = kMaxMessageBytes);

// The core's error of a query, its fields named from the request's root on.
absl::Status HessianErrorToProto(const absl::Status& status);

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_HESSIAN_H_
