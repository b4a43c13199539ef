// lossd.v1.Tensor as it comes in: its contents stay where they are.
#ifndef LOSSD_SERVER_RPC_WIRE_TENSOR_H_
#define LOSSD_SERVER_RPC_WIRE_TENSOR_H_

#include <cstdint>
#include <vector>

#include "lossd/v1/loss_service.pb.h"
#include "server/rpc/wire/bytes.h"
#include "server/rpc/wire/reader.h"

namespace lossd::rpc::wire {

// What a Tensor message says, nothing of it checked against anything else.
struct Tensor {
  using Contents = v1::Tensor::ContentsCase;

  v1::DataType data_type = v1::DATA_TYPE_UNSPECIFIED;  // may be unknown
  std::vector<int64_t> shape;
  Contents contents = Contents::CONTENTS_NOT_SET;
  // The elements, little-endian: those of `raw` and packed `float_values` where
  // they came in, those of `int64_values`, which are varints, copied.
  Bytes elements;
};

// Reads one message into `tensor`, merged with what is there as protobuf merges
// a field that comes again. Returns false where it is no valid message.
bool ReadTensor(Reader reader, Tensor& tensor);

// A view of a parsed message, which must outlive it.
Tensor ViewOf(const v1::Tensor& message);

}  // namespace lossd::rpc::wire

#endif  // LOSSD_SERVER_RPC_WIRE_TENSOR_H_
