#include "server/compute/error.h"

#include <algorithm>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace lossd::compute {
namespace {

// absl::Status keeps payloads by type URL, so each part gets one of its own and
// nothing needs an encoding.
constexpr char kReasonUrl[] = "lossd/reason";
constexpr char kFieldUrl[] = "lossd/field";
constexpr char kMetadataUrlPrefix[] = "lossd/metadata/";

}  // namespace

absl::Status MakeError(absl::StatusCode code, std::string_view message,
                       const ErrorDetails& details) {
  absl::Status status(code, {message.data(), message.size()});
  status.SetPayload(kReasonUrl, absl::Cord(details.reason));
  if (!details.field.empty()) {
    status.SetPayload(kFieldUrl, absl::Cord(details.field));
  }
  for (const auto& [key, value] : details.metadata) {
    status.SetPayload(absl::StrCat(kMetadataUrlPrefix, key), absl::Cord(value));
  }
  return status;
}

ErrorDetails DetailsOf(const absl::Status& status) {
  ErrorDetails details;
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    if (url == kReasonUrl) {
      details.reason = std::string(payload);
    } else if (url == kFieldUrl) {
      details.field = std::string(payload);
    } else if (absl::ConsumePrefix(&url, kMetadataUrlPrefix)) {
      details.metadata.emplace_back(std::string(url), std::string(payload));
    }
  });
  std::sort(details.metadata.begin(), details.metadata.end());
  return details;
}

}  // namespace lossd::compute
