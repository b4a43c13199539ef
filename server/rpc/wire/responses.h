// The response messages as they go out: tensors are sent from where the core
// wrote them, all else is serialized by protobuf.
#ifndef LOSSD_SERVER_RPC_WIRE_RESPONSES_H_
#define LOSSD_SERVER_RPC_WIRE_RESPONSES_H_

#include <cstdint>
#include <vector>

#include "lossd/v1/loss_service.pb.h"
#include "server/rpc/wire/buffer.h"
#include "server/rpc/wire/message.h"

namespace lossd::rpc::wire {

// A Tensor message with `raw` contents, a field of a response.
struct OutgoingTensor {
  int field = 0;  // its number
  v1::DataType data_type = v1::DATA_TYPE_UNSPECIFIED;
  std::vector<int64_t> shape;
  Buffer raw;
};

// lossd.v1.ComputeLossResponse.
struct LossResponse {
  v1::ComputeLossResponse fields;  // all but the tensors
  std::vector<OutgoingTensor> tensors;
};

// Each gives the bytes that protobuf's generated serializer would: fields in
// the order of their numbers, the tensors in any order. Takes over the tensors'
// buffers.
OutgoingMessage Serialize(LossResponse response);
OutgoingMessage SerializeProduct(OutgoingTensor product);
OutgoingMessage SerializeSummary(LossResponse summary);
OutgoingMessage SerializeGradientChunk(int64_t first_row, Buffer gradient);

}  // namespace lossd::rpc::wire

#endif  // LOSSD_SERVER_RPC_WIRE_RESPONSES_H_
