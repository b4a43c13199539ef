#include "tests/support/wire_difference.h"

#include <google/protobuf/message.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "lossd/v1/loss_service.pb.h"
#include "server/rpc/wire/requests.h"

namespace lossd::testing {
namespace {

using google::protobuf::Message;
using rpc::wire::Bytes;
using rpc::wire::Run;

std::string StringOf(const Bytes& bytes) {
  std::string text;
  for (const Run& run : bytes.pieces()) {
    text.append(reinterpret_cast<const char*>(run.data()), run.size());
  }
  return text;
}

template <typename Value, typename Values>
void Fill(const std::string& bytes, Values* values) {
  values->Resize(static_cast<int>(bytes.size() / sizeof(Value)), 0);
  if (!bytes.empty()) {
    std::memcpy(values->mutable_data(), bytes.data(), bytes.size());
  }
}

void ToProto(const rpc::wire::Tensor& tensor, v1::Tensor* message) {
  message->set_data_type(tensor.data_type);
  message->mutable_shape()->Add(tensor.shape.begin(), tensor.shape.end());
  const std::string bytes = StringOf(tensor.elements);
  switch (tensor.contents) {
    case v1::Tensor::kRaw:
      message->set_raw(bytes);
      break;
    case v1::Tensor::kFloatValues:
      Fill<float>(bytes, message->mutable_float_values()->mutable_values());
      break;
    case v1::Tensor::kInt64Values:
      Fill<int64_t>(bytes, message->mutable_int64_values()->mutable_values());
      break;
    case v1::Tensor::CONTENTS_NOT_SET:
      break;
  }
}

void ToProto(const rpc::wire::LossRequest& request,
             v1::ComputeLossRequest* message) {
  *message = request.fields;
  if (request.row_weights) {
    ToProto(*request.row_weights, message->mutable_row_weights());
  }
  if (request.upstream_gradient) {
    ToProto(*request.upstream_gradient, message->mutable_upstream_gradient());
  }
  if (request.labels) ToProto(*request.labels, message->mutable_labels());
  if (request.logits) ToProto(*request.logits, message->mutable_logits());
}

std::unique_ptr<Message> Parsed(const rpc::wire::LossRequest& request) {
  auto message = std::make_unique<v1::ComputeLossRequest>();
  ToProto(request, message.get());
  return message;
}

std::unique_ptr<Message> Parsed(const rpc::wire::HessianRequest& request) {
  auto message = std::make_unique<v1::ComputeHessianVectorProductRequest>();
  if (request.base) ToProto(*request.base, message->mutable_base());
  if (request.vector) ToProto(*request.vector, message->mutable_vector());
  return message;
}

std::unique_ptr<Message> Parsed(const rpc::wire::StreamRequest& request) {
  auto message = std::make_unique<v1::StreamLossRequest>();
  if (const auto* header = std::get_if<rpc::wire::LossRequest>(&request)) {
    ToProto(*header, message->mutable_header());
  }
  if (const auto* chunk = std::get_if<Bytes>(&request)) {
    message->mutable_chunk()->set_raw(StringOf(*chunk));
  }
  return message;
}

template <typename Request>
std::unique_ptr<Message> ParsedOrNull(const std::optional<Request>& request) {
  return request ? Parsed(*request) : nullptr;
}

std::unique_ptr<Message> ParseByHand(WireMessage kind,
                                     rpc::wire::Pieces pieces) {
  switch (kind) {
    case WireMessage::kLossRequest:
      return ParsedOrNull(rpc::wire::ParseLossRequest(pieces));
    case WireMessage::kHessianRequest:
      return ParsedOrNull(rpc::wire::ParseHessianRequest(pieces));
    case WireMessage::kStreamRequest:
      return ParsedOrNull(rpc::wire::ParseStreamRequest(pieces));
  }
  return nullptr;
}

std::unique_ptr<Message> NewMessage(WireMessage kind) {
  switch (kind) {
    case WireMessage::kLossRequest:
      return std::make_unique<v1::ComputeLossRequest>();
    case WireMessage::kHessianRequest:
      return std::make_unique<v1::ComputeHessianVectorProductRequest>();
    case WireMessage::kStreamRequest:
      return std::make_unique<v1::StreamLossRequest>();
  }
  return nullptr;
}

std::vector<Run> Cut(std::string_view bytes, size_t piece_bytes) {
  std::vector<Run> pieces;
  const auto* const data = reinterpret_cast<const std::byte*>(bytes.data());
  for (size_t i = 0; i < bytes.size(); i += piece_bytes) {
    pieces.emplace_back(data + i, std::min(piece_bytes, bytes.size() - i));
    // Runs may be empty anywhere.
    if (i % 3 == 0) pieces.emplace_back(data + i, 0);
  }
  return pieces;
}

}  // namespace

bool IsMessage(WireMessage kind, const std::string& bytes) {
  return NewMessage(kind)->ParseFromString(bytes);
}

std::string DifferenceOf(WireMessage kind, std::string_view bytes,
                         size_t piece_bytes) {
  const std::vector<Run> pieces = Cut(bytes, piece_bytes);
  const std::unique_ptr<Message> got = ParseByHand(kind, pieces);
  const std::unique_ptr<Message> want = NewMessage(kind);
  const bool is_message =
      want->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  if (is_message != (got != nullptr)) {
    return is_message ? "refused, but it is a message"
                      : "taken, but it is no message";
  }
  if (!is_message) return "";
  got->DiscardUnknownFields();
  want->DiscardUnknownFields();
  // Bytes, not values: NaN is equal to itself then.
  if (got->SerializeAsString() == want->SerializeAsString()) return "";
  return "got " + got->ShortDebugString() + ", want " +
         want->ShortDebugString();
}

}  // namespace lossd::testing
