#include "client/lossd/status.h"

#include <string>

#include "absl/strings/cord.h"
#include "client/lossd/error.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace lossd {
namespace {

// Reads the payload of type M that `status` carries into `message`; false where
// there is none.
template <typename M>
bool ReadPayload(const absl::Status& status, M* message) {
  const auto payload =
      status.GetPayload("type.googleapis.com/" + M::descriptor()->full_name());
  return payload.has_value() && message->ParseFromString(std::string(*payload));
}

}  // namespace

absl::Status StatusFromGrpc(const grpc::Status& status) {
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
  google::rpc::Status details;
  if (!status.ok() && details.ParseFromString(status.error_details())) {
    for (const auto& detail : details.details()) {
      result.SetPayload(detail.type_url(), absl::Cord(detail.value()));
    }
  }
  return result;
}

ErrorDetails DetailsOf(const absl::Status& status) {
  ErrorDetails details;
  google::rpc::ErrorInfo info;
  if (ReadPayload(status, &info)) {
    details.reason = info.reason();
    details.domain = info.domain();
    details.metadata.insert(info.metadata().begin(), info.metadata().end());
  }
  google::rpc::BadRequest bad_request;
  if (ReadPayload(status, &bad_request) &&
      bad_request.field_violations_size() > 0) {
    details.field = bad_request.field_violations(0).field();
  }
  google::rpc::RetryInfo retry_info;
  if (ReadPayload(status, &retry_info) && retry_info.has_retry_delay()) {
    details.retry_delay = absl::Seconds(retry_info.retry_delay().seconds()) +
                          absl::Nanoseconds(retry_info.retry_delay().nanos());
  }
  return details;
}

}  // namespace lossd
