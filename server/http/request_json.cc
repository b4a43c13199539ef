#include "server/http/request_json.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "lossd/v1/loss_service.pb.h"
#include "server/http/nested_values.h"
#include "server/http/request_reader.h"
#include "server/rpc/errors.h"
#include "server/rpc/tensor.h"

namespace lossd::http {
namespace {

namespace pb = google::protobuf;

// "TEXT" of protobuf's "(FIELD): TEXT", and the field.
std::pair<std::string, std::string> SplitField(std::string_view text) {
  const size_t end = text.find("): ");
  if (!text.starts_with('(') || end == text.npos) {
    return {"", std::string(text)};
  }
  return {std::string(text.substr(1, end - 1)),
          std::string(text.substr(end + 3))};
}

// What is in `json` by protobuf's own mapping.
absl::Status ReadPlain(const std::string& json, pb::Message& message) {
  const auto status = pb::util::JsonStringToMessage(json, &message);
  if (status.ok()) return absl::OkStatus();
  const std::string type = message.GetDescriptor()->full_name();
  const auto [field, text] =
      SplitField({status.message().data(), status.message().size()});
  return rpc::Invalid("NOT_A_MESSAGE", field,
                      field.empty()
                          ? fmt::format("the JSON is no {}: {}", type, text)
                          : fmt::format("{}: {}", field, text),
                      {{"type", type}});
}

v1::Tensor& At(const FieldPath& path, pb::Message& message) {
  pb::Message* at = &message;
  for (const pb::FieldDescriptor* field : path) {
    at = at->GetReflection()->MutableMessage(at, field);
  }
  return static_cast<v1::Tensor&>(*at);
}

// The batch's logits, whose type others take.
const v1::Tensor& LogitsOf(const pb::Message& message) {
  const auto* hessian =
      dynamic_cast<const v1::ComputeHessianVectorProductRequest*>(&message);
  return hessian != nullptr
             ? hessian->base().logits()
             : static_cast<const v1::ComputeLossRequest&>(message).logits();
}

v1::DataType DefaultType(const NestedTensor& nested, const v1::Tensor& logits) {
  const size_t rank = nested.values.shape().size();
  if (nested.path.back()->name() == "labels" && nested.values.are_integers() &&
      rank != static_cast<size_t>(logits.shape_size())) {
    return v1::DATA_TYPE_INT64;
  }
  return rpc::IsFloat(logits.data_type()) ? logits.data_type()
                                          : v1::DATA_TYPE_FLOAT32;
}

absl::Status Fill(const NestedTensor& nested, pb::Message& message) {
  v1::Tensor& tensor = At(nested.path, message);
  if (tensor.contents_case() != v1::Tensor::CONTENTS_NOT_SET) {
    return rpc::Invalid(
        "DUPLICATE_FIELD", nested.values.field(),
        nested.values.field() + " has values and other contents, want one", {});
  }
  const v1::DataType data_type = tensor.data_type() == v1::DATA_TYPE_UNSPECIFIED
                                     ? DefaultType(nested, LogitsOf(message))
                                     : tensor.data_type();
  return nested.values.Fill(data_type, tensor);
}

bool IsLogits(const NestedTensor& nested) {
  return nested.path.back()->name() == "logits";
}

}  // namespace

absl::StatusOr<TensorStyle> ReadRequest(std::string_view json,
                                        pb::Message& message) {
  RequestReader reader(*message.GetDescriptor());
  // Returns false where the reader did, which says why.
  nlohmann::json::sax_parse(json, &reader);
  if (!reader.status().ok()) return reader.status();
  absl::Status status = ReadPlain(reader.plain_json(), message);
  TensorStyle style = TensorStyle::kRaw;
  // The logits first: the others' types depend on them.
  for (const bool are_logits : {true, false}) {
    for (const NestedTensor& nested : reader.nested()) {
      if (IsLogits(nested) != are_logits) continue;
      if (are_logits) style = TensorStyle::kNested;
      if (status.ok()) status = Fill(nested, message);
    }
  }
  if (!status.ok()) return status;
  return style;
}

}  // namespace lossd::http
