// The request messages as they come in: tensors stay where they are, all else
// is parsed by protobuf.
#ifndef LOSSD_SERVER_RPC_WIRE_REQUESTS_H_
#define LOSSD_SERVER_RPC_WIRE_REQUESTS_H_

#include <optional>
#include <variant>

#include "lossd/v1/loss_service.pb.h"
#include "server/rpc/wire/bytes.h"
#include "server/rpc/wire/tensor.h"

namespace lossd::rpc::wire {

// lossd.v1.ComputeLossRequest.
struct LossRequest {
  v1::ComputeLossRequest fields;  // all but the following
  std::optional<Tensor> row_weights;
  std::optional<Tensor> upstream_gradient;
  std::optional<Tensor> labels;
  std::optional<Tensor> logits;
};

// lossd.v1.ComputeHessianVectorProductRequest.
struct HessianRequest {
  std::optional<LossRequest> base;
  std::optional<Tensor> vector;
};

// lossd.v1.StreamLossRequest: nothing, a header, or a chunk's bytes.
using StreamRequest = std::variant<std::monostate, LossRequest, Bytes>;

// Each parses one message; nothing where it is none. What protobuf's generated
// parser takes or refuses, and how it merges fields that come again, is the
// same. The result views `pieces`, which must outlive it.
//
// Cost: reads each byte outside of tensors' contents once; copies int64_values,
// and contents that come in several fields.
std::optional<LossRequest> ParseLossRequest(Pieces pieces);
std::optional<HessianRequest> ParseHessianRequest(Pieces pieces);
std::optional<StreamRequest> ParseStreamRequest(Pieces pieces);

}  // namespace lossd::rpc::wire

#endif  // LOSSD_SERVER_RPC_WIRE_REQUESTS_H_
