// Requests for Hessian-vector products as the core takes them, and the product
// as a response. Pure: no gRPC, no threads, no clock.
#ifndef LOSSD_SERVER_RPC_HESSIAN_H_
#define LOSSD_SERVER_RPC_HESSIAN_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lossd/v1/loss_service.pb.h"
#include "server/rpc/convert.h"

namespace lossd::rpc {

// A request as the core takes it. Views into the request and into itself: what
// is viewed stays where it is when this is moved.
struct HessianQuery {
  LossQuery base;                            // no output is wanted
  absl::Span<const std::byte> vector_bytes;  // the classes last
  std::unique_ptr<std::byte[]> moved_vector;
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
    const v1::ComputeHessianVectorProductRequest& request);

// Gives `response` its product and returns where the core writes it, the
// classes last.
//
// Errors: ResourceExhausted: it would not fit into one message of
//   `max_message_bytes`.
// The result must not outlive `response`.
absl::StatusOr<absl::Span<std::byte>> ProductToProto(
    const HessianQuery& query,
    v1::ComputeHessianVectorProductResponse& response,
    int64_t max_message_bytes = kMaxMessageBytes);

// The core's error of a query, its fields named from the request's root on.
absl::Status HessianErrorToProto(const absl::Status& status);

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_HESSIAN_H_
