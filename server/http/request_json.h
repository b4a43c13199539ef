// Requests as JSON: protobuf's mapping, and tensors as nested rows.
#ifndef LOSSD_SERVER_HTTP_REQUEST_JSON_H_
#define LOSSD_SERVER_HTTP_REQUEST_JSON_H_

#include <google/protobuf/message.h>

#include <string_view>

#include "absl/status/statusor.h"

namespace lossd::http {

// How the tensors of an answer are to be written.
enum class TensorStyle {
  kRaw,     // base64, as protobuf has it
  kNested,  // nested rows
};

// Reads `json` into `message`, a ComputeLossRequest or a
// ComputeHessianVectorProductRequest that has nothing yet. Returns kNested
// where its logits are nested rows.
//
// Beyond protobuf's mapping a tensor may be rows, [[2, 1], [0, 3]], or have
// them, {"dataType": "DATA_TYPE_FLOAT64", "values": [[2, 1], [0, 3]]}. Without
// a data type they are of the logits'; the logits themselves FLOAT32; labels
// INT64 where no number has a point or an exponent and they have fewer axes
// than the logits. Each number is rounded to its type once, but for FLOAT16 and
// BFLOAT16: from the double next to it.
//
// Errors: InvalidArgument, with the field's path where there is one: no JSON; a
//   field that is unknown or there twice; a value of another type; what
//   NestedValues says.
absl::StatusOr<TensorStyle> ReadRequest(std::string_view json,
                                        google::protobuf::Message& message);

}  // namespace lossd::http

#endif  // LOSSD_SERVER_HTTP_REQUEST_JSON_H_
