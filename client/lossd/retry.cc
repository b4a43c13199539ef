#include "client/lossd/retry.h"

#include <algorithm>
#include <cmath>

#include "absl/random/random.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/lossd/error.h"
#include "client/lossd/status.h"

namespace lossd {
namespace {

std::optional<std::string> PushbackOf(const grpc::ClientContext& context) {
  const auto& metadata = context.GetServerTrailingMetadata();
  const auto found = metadata.find("grpc-retry-pushback-ms");
  if (found == metadata.end()) return std::nullopt;
  return std::string(found->second.data(), found->second.size());
}

absl::Status WithMessage(const absl::Status& status,
                         const std::string& message) {
  absl::Status result(status.code(), message);
  status.ForEachPayload([&result](auto type_url, const absl::Cord& payload) {
    result.SetPayload(type_url, payload);
  });
  return result;
}

// The network's own messages name neither the server nor the effort.
absl::Status Explained(const absl::Status& status, const std::string& target,
                       int attempts) {
  if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) {
    return status;
  }
  return WithMessage(
      status, absl::StrCat(status.message(), " (", target, ", ",
                           attempts == 1 ? "1 attempt"
                                         : absl::StrCat(attempts, " attempts"),
                           ")"));
}

// Waits and lets `channel` connect meanwhile: that takes somebody who polls,
// and while no call is under way gRPC itself does so every 5 s only.
void WaitUntil(absl::Time end, grpc::ChannelInterface& channel) {
  while (absl::Now() < end) {
    const grpc_connectivity_state state =
        channel.GetState(/*try_to_connect=*/true);
    channel.WaitForStateChange(state, absl::ToChronoTime(end));
  }
}

}  // namespace

absl::Status CheckRetryOptions(const RetryOptions& options) {
  if (options.max_attempts < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "retry.max_attempts = ", options.max_attempts, ", want >= 1"));
  }
  if (options.initial_backoff <= absl::ZeroDuration() ||
      options.max_backoff < options.initial_backoff) {
    return absl::InvalidArgumentError(absl::StrCat(
        "retry.initial_backoff = ",
        absl::FormatDuration(options.initial_backoff), ", want in (0, ",
        absl::FormatDuration(options.max_backoff), "], the max_backoff"));
  }
  if (!(options.multiplier >= 1.0) || !std::isfinite(options.multiplier)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "retry.multiplier = ", options.multiplier, ", want finite and >= 1"));
  }
  if (!(options.jitter >= 0.0 && options.jitter < 1.0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("retry.jitter = ", options.jitter, ", want in [0, 1)"));
  }
  return absl::OkStatus();
}

std::optional<absl::Duration> RetryDelay(
    const RetryOptions& options, int attempt, const absl::Status& error,
    const std::optional<std::string>& pushback_ms, double random) {
  if (!absl::IsUnavailable(error) || attempt >= options.max_attempts) {
    return std::nullopt;
  }
  std::optional<absl::Duration> asked = DetailsOf(error).retry_delay;
  if (pushback_ms.has_value()) {
    int64_t ms = 0;
    if (!absl::SimpleAtoi(*pushback_ms, &ms) || ms < 0) return std::nullopt;
    asked = absl::Milliseconds(ms);
  }
  if (asked.has_value()) return *asked * (1.0 + options.jitter * random);

  const absl::Duration backoff = std::min(
      options.max_backoff,
      options.initial_backoff * std::pow(options.multiplier, attempt - 1));
  return backoff * (1.0 + options.jitter * (2.0 * random - 1.0));
}

absl::Status CallWithRetries(
    const RetryOptions& options, const std::string& target,
    grpc::ChannelInterface& channel, absl::Time deadline,
    absl::FunctionRef<grpc::Status(grpc::ClientContext&)> attempt) {
  for (int number = 1;; ++number) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(deadline));
    absl::Status status = StatusFromGrpc(attempt(context));
    if (status.ok()) return status;

    absl::BitGen random;
    const std::optional<absl::Duration> delay =
        RetryDelay(options, number, status, PushbackOf(context),
                   absl::Uniform(random, 0.0, 1.0));
    if (!delay.has_value() || absl::Now() + *delay >= deadline) {
      return Explained(status, target, number);
    }
    WaitUntil(absl::Now() + *delay, channel);
  }
}

}  // namespace lossd
