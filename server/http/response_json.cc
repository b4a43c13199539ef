#include "server/http/response_json.h"

#include <google/protobuf/util/json_util.h>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "lossd/v1/loss_service.pb.h"
#include "server/rpc/elements.h"
#include "server/rpc/tensor.h"

namespace lossd::http {
namespace {

namespace pb = google::protobuf;

std::string ToJson(const pb::Message& message) {
  pb::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string json;
  // Fails for no message of ours: their Any are of linked types.
  (void)pb::util::MessageToJsonString(message, &json, options);
  return json;
}

template <typename Number>
void WriteNumber(Number value, std::string& json) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  json.append(digits, end);
}

template <typename Float>
void WriteFloat(Float value, std::string& json) {
  if (std::isnan(value)) {
    json += "\"NaN\"";
  } else if (std::isinf(value)) {
    json += value < 0 ? "\"-Infinity\"" : "\"Infinity\"";
  } else {
    WriteNumber(value, json);
  }
}

template <typename Integer>
Integer IntegerAt(std::string_view raw, int64_t i) {
  Integer value;
  std::memcpy(&value, raw.data() + i * sizeof(value), sizeof(value));
  return value;
}

void WriteElement(const v1::Tensor& tensor, int64_t i, std::string& json) {
  const v1::DataType data_type = tensor.data_type();
  switch (data_type) {
    case v1::DATA_TYPE_INT32:
      return WriteNumber(IntegerAt<int32_t>(tensor.raw(), i), json);
    case v1::DATA_TYPE_INT64:
      return WriteNumber(IntegerAt<int64_t>(tensor.raw(), i), json);
    case v1::DATA_TYPE_FLOAT64:
      return WriteFloat(rpc::FloatAt(data_type, tensor.raw(), i), json);
    default:  // float holds them all
      return WriteFloat(
          static_cast<float>(rpc::FloatAt(data_type, tensor.raw(), i)), json);
  }
}

// Writes the rows from `axis` on, the first element being `i`, and moves `i`
// past them. As deep as a request's shape, which has a bound.
void WriteRows(const v1::Tensor& tensor, int axis, int64_t& i,
               std::string& json) {
  if (axis == tensor.shape_size()) return WriteElement(tensor, i++, json);
  json += '[';
  for (int64_t k = 0; k < tensor.shape(axis); ++k) {
    if (k > 0) json += ',';
    WriteRows(tensor, axis + 1, i, json);
  }
  json += ']';
}

std::string NestedJson(v1::Tensor& tensor) {
  std::string values = ",\"values\":";
  int64_t first = 0;
  WriteRows(tensor, 0, first, values);
  tensor.clear_contents();
  std::string json = ToJson(tensor);
  json.insert(json.size() - 1, values);
  return json;
}

// The details' reason, of the ErrorInfo that every error of lossd has.
std::string ReasonOf(const google::rpc::Status& status) {
  google::rpc::ErrorInfo info;
  for (const pb::Any& detail : status.details()) {
    if (detail.UnpackTo(&info)) return info.reason();
  }
  return "";
}

int HttpCodeOf(grpc::StatusCode code, const std::string& reason) {
  switch (code) {
    case grpc::StatusCode::OK:
      return 200;
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::OUT_OF_RANGE:
      return 400;
    case grpc::StatusCode::UNAUTHENTICATED:
      return 401;
    case grpc::StatusCode::PERMISSION_DENIED:
      return 403;
    case grpc::StatusCode::NOT_FOUND:
      return 404;
    case grpc::StatusCode::ABORTED:
    case grpc::StatusCode::ALREADY_EXISTS:
      return 409;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return reason.ends_with("_TOO_LARGE") ? 413 : 429;
    case grpc::StatusCode::CANCELLED:
      return 499;
    case grpc::StatusCode::UNIMPLEMENTED:
      return 501;
    case grpc::StatusCode::UNAVAILABLE:
      return 503;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return 504;
    default:
      return 500;
  }
}

int RetryAfterSeconds(const google::rpc::Status& status) {
  google::rpc::RetryInfo info;
  for (const pb::Any& detail : status.details()) {
    if (!detail.UnpackTo(&info)) continue;
    const auto& delay = info.retry_delay();
    return std::max(
        1, static_cast<int>(delay.seconds()) + (delay.nanos() > 0 ? 1 : 0));
  }
  return 1;
}

}  // namespace

std::string WriteResponse(pb::Message& message, TensorStyle style) {
  if (style == TensorStyle::kRaw) return ToJson(message);
  const pb::Reflection& reflection = *message.GetReflection();
  std::vector<const pb::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  std::string tensors;
  for (const pb::FieldDescriptor* field : fields) {
    if (field->message_type() != v1::Tensor::descriptor()) continue;
    tensors += ",\"" + field->json_name() + "\":";
    tensors += NestedJson(
        static_cast<v1::Tensor&>(*reflection.MutableMessage(&message, field)));
    reflection.ClearField(&message, field);
  }
  std::string json = ToJson(message);
  if (tensors.empty()) return json;
  // An object without any other field takes no comma.
  json.pop_back();
  json.append(tensors, json == "{" ? 1 : 0);
  json += '}';
  return json;
}

HttpError ToHttpError(const grpc::Status& status) {
  google::rpc::Status proto;
  if (!proto.ParseFromString(status.error_details()) ||
      proto.code() != status.error_code()) {
    // gRPC's own errors have no details.
    proto.Clear();
    proto.set_code(status.error_code());
    proto.set_message(status.error_message());
  }
  HttpError error;
  error.status = HttpCodeOf(status.error_code(), ReasonOf(proto));
  error.json = ToJson(proto);
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    error.retry_after_seconds = RetryAfterSeconds(proto);
  }
  return error;
}

}  // namespace lossd::http
