#include "client/lossctl/command.h"

#include <fmt/core.h>

#include <cmath>
#include <cstdio>
#include <string>

#include "absl/time/time.h"

namespace lossd::lossctl {

absl::StatusOr<Client> ConnectClient(const CommonFlags& common) {
  return Client::Connect(ClientOptionsFrom(common.server));
}

CallOptions CallOptionsFrom(const CommonFlags& common) {
  return CallOptions(absl::Seconds(common.timeout_seconds));
}

int Fail(const CommonFlags& common, const absl::Status& status) {
  const std::string code = absl::StatusCodeToString(status.code());
  const std::string message(status.message());
  fmt::print(stderr, "lossctl: {}: {}\n", code, message);
  if (common.json) {
    const ErrorDetails details = DetailsOf(status);
    PrintJson({{"error",
                {{"code", code},
                 {"message", message},
                 {"reason", details.reason},
                 {"field", details.field},
                 {"metadata", details.metadata}}}});
  }
  return kFailed;
}

int BadUsage(const absl::Status& status) {
  fmt::print(stderr, "lossctl: {}\n", std::string(status.message()));
  return kBadUsage;
}

Json JsonNumber(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

Json JsonNumbers(absl::Span<const double> values) {
  Json json = Json::array();
  for (const double value : values) json.push_back(JsonNumber(value));
  return json;
}

// An error's message may quote bytes that are no UTF-8: they are replaced.
void PrintJson(const Json& json) {
  fmt::print("{}\n", json.dump(2, ' ', false,
                               nlohmann::json::error_handler_t::replace));
}

}  // namespace lossd::lossctl
