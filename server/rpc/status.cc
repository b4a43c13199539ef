#include "server/rpc/status.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/compute/error.h"
#include "server/rpc/errors.h"

namespace lossd::rpc {
namespace {

// The message goes out three times (status, details, BadRequest): 3 * 512, plus
// at most 8 * (48 + 128 + 6) of metadata, plus a reason, a field and type URLs
// of under 600 bytes: 3592 < kMaxStatusBytes.
constexpr size_t kMaxMessageBytes = 512;
constexpr size_t kMaxFieldBytes = 128;
constexpr size_t kMaxReasonBytes = 64;
constexpr size_t kMaxKeyBytes = 48;
constexpr size_t kMaxValueBytes = 128;
constexpr size_t kMaxMetadataEntries = 8;

// For an UNAVAILABLE that does not say how long.
constexpr int64_t kDefaultRetryDelayMs = 1000;

std::string Printable(std::string_view text, size_t max_bytes) {
  constexpr std::string_view kCut = "...";
  std::string result(text.substr(0, max_bytes));
  if (text.size() > max_bytes) {
    result.replace(max_bytes - kCut.size(), kCut.size(), kCut);
  }
  std::replace_if(
      result.begin(), result.end(), [](char c) { return c < ' ' || c > '~'; },
      '?');
  return result;
}

google::rpc::ErrorInfo ErrorInfoOf(const compute::ErrorDetails& details,
                                   absl::StatusCode code) {
  google::rpc::ErrorInfo info;
  info.set_reason(details.reason.empty()
                      ? absl::StatusCodeToString(code)
                      : Printable(details.reason, kMaxReasonBytes));
  info.set_domain("lossd");
  size_t entries = 0;
  for (const auto& [key, value] : details.metadata) {
    if (++entries > kMaxMetadataEntries) break;
    (*info.mutable_metadata())[Printable(key, kMaxKeyBytes)] =
        Printable(value, kMaxValueBytes);
  }
  return info;
}

int64_t RetryDelayMsOf(const compute::ErrorDetails& details) {
  int64_t delay_ms = kDefaultRetryDelayMs;
  for (const auto& [key, value] : details.metadata) {
    if (key == kRetryDelayKey) {
      std::from_chars(value.data(), value.data() + value.size(), delay_ms);
    }
  }
  return delay_ms;
}

}  // namespace

WireStatus ToWireStatus(const absl::Status& status) {
  if (status.ok()) return {};
  const compute::ErrorDetails details = compute::DetailsOf(status);
  const absl::string_view raw_message = status.message();
  const std::string message =
      Printable({raw_message.data(), raw_message.size()}, kMaxMessageBytes);

  google::rpc::Status proto;
  proto.set_code(static_cast<int>(status.code()));
  proto.set_message(message);
  const google::rpc::ErrorInfo info = ErrorInfoOf(details, status.code());
  proto.add_details()->PackFrom(info);
  if (absl::IsInvalidArgument(status) && !details.field.empty()) {
    google::rpc::BadRequest bad_request;
    auto* violation = bad_request.add_field_violations();
    violation->set_field(Printable(details.field, kMaxFieldBytes));
    violation->set_description(message);
    proto.add_details()->PackFrom(bad_request);
  }
  WireStatus wire;
  wire.reason = info.reason();
  if (absl::IsUnavailable(status)) {
    const int64_t delay_ms = RetryDelayMsOf(details);
    google::rpc::RetryInfo retry_info;
    retry_info.mutable_retry_delay()->set_seconds(delay_ms / 1000);
    retry_info.mutable_retry_delay()->set_nanos(
        static_cast<int32_t>(delay_ms % 1000) * 1'000'000);
    proto.add_details()->PackFrom(retry_info);
    wire.trailing_metadata.emplace_back("grpc-retry-pushback-ms",
                                        std::to_string(delay_ms));
  }
  wire.status = grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                             message, proto.SerializeAsString());
  return wire;
}

}  // namespace lossd::rpc
