// Answers and errors as JSON.
#ifndef LOSSD_SERVER_HTTP_RESPONSE_JSON_H_
#define LOSSD_SERVER_HTTP_RESPONSE_JSON_H_

#include <google/protobuf/message.h>
#include <grpcpp/support/status.h>

#include <optional>
#include <string>

#include "server/http/request_json.h"

namespace lossd::http {

// `message` by protobuf's mapping, numbers of zero included. With kNested each
// of its tensors is {"dataType", "shape", "values"}, the values nested rows: of
// floats as few digits as tell them apart (those of FLOAT16 and BFLOAT16 as
// FLOAT32's), NaN and infinities as texts. Takes the tensors out of `message`.
std::string WriteResponse(google::protobuf::Message& message,
                          TensorStyle style);

// An error as HTTP has it.
struct HttpError {
  int status = 500;
  std::string json;  // the google.rpc.Status
  // For UNAVAILABLE: when to come again, in seconds, 1 and more.
  std::optional<int> retry_after_seconds;
};

// Turns a failed call's status, its details included, into what HTTP's caller
// gets: the code as google.rpc.Code maps it, and 413 where RESOURCE_EXHAUSTED
// is for a message's size and the same request never fits.
HttpError ToHttpError(const grpc::Status& status);

}  // namespace lossd::http

#endif  // LOSSD_SERVER_HTTP_RESPONSE_JSON_H_
