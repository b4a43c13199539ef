#include "client/lossd/retry.h"

#include <optional>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "google/rpc/error_details.pb.h"
#include "gtest/gtest.h"

namespace lossd {
namespace {

const absl::Status kUnavailable = absl::UnavailableError("busy");
constexpr RetryOptions kOptions = {.max_attempts = 10,
                                   .initial_backoff = absl::Milliseconds(100),
                                   .max_backoff = absl::Seconds(1),
                                   .multiplier = 2.0,
                                   .jitter = 0.5};

absl::Status UnavailableFor(int seconds) {
  google::rpc::RetryInfo info;
  info.mutable_retry_delay()->set_seconds(seconds);
  absl::Status status = kUnavailable;
  status.SetPayload("type.googleapis.com/google.rpc.RetryInfo",
                    absl::Cord(info.SerializeAsString()));
  return status;
}

TEST(RetryDelayTest, GrowsUpToItsBound) {
  const auto delay = [](int attempt) {
    return *RetryDelay(kOptions, attempt, kUnavailable, {}, 0.5);
  };
  EXPECT_EQ(delay(1), absl::Milliseconds(100));
  EXPECT_EQ(delay(2), absl::Milliseconds(200));
  EXPECT_EQ(delay(4), absl::Milliseconds(800));
  EXPECT_EQ(delay(5), absl::Seconds(1));
  EXPECT_EQ(delay(9), absl::Seconds(1));
}

TEST(RetryDelayTest, IsSpreadByTheJitterBothWays) {
  EXPECT_EQ(*RetryDelay(kOptions, 1, kUnavailable, {}, 0.0),
            absl::Milliseconds(50));
  EXPECT_EQ(*RetryDelay(kOptions, 1, kUnavailable, {}, 0.75),
            absl::Milliseconds(125));
}

TEST(RetryDelayTest, EndsWithTheLastAttempt) {
  EXPECT_TRUE(RetryDelay(kOptions, 9, kUnavailable, {}, 0.5).has_value());
  EXPECT_FALSE(RetryDelay(kOptions, 10, kUnavailable, {}, 0.5).has_value());
}

TEST(RetryDelayTest, IsForUnavailableOnly) {
  for (const absl::Status& status :
       {absl::InternalError(""), absl::DeadlineExceededError(""),
        absl::ResourceExhaustedError(""), absl::CancelledError("")}) {
    EXPECT_FALSE(RetryDelay(kOptions, 1, status, {}, 0.5).has_value());
  }
}

TEST(RetryDelayTest, IsNeverShorterThanTheServerAsks) {
  EXPECT_EQ(*RetryDelay(kOptions, 1, UnavailableFor(7), {}, 0.0),
            absl::Seconds(7));
  EXPECT_EQ(*RetryDelay(kOptions, 1, UnavailableFor(8), {}, 0.5),
            absl::Seconds(10));
  EXPECT_EQ(*RetryDelay(kOptions, 1, kUnavailable, "40", 0.0),
            absl::Milliseconds(40));
}

TEST(RetryDelayTest, FollowsPushbackBeforeRetryInfo) {
  EXPECT_EQ(*RetryDelay(kOptions, 1, UnavailableFor(7), "30", 0.0),
            absl::Milliseconds(30));
  EXPECT_EQ(*RetryDelay(kOptions, 1, UnavailableFor(7), "0", 0.9),
            absl::ZeroDuration());
}

TEST(RetryDelayTest, IsForbiddenByANegativeOrUnreadablePushback) {
  for (const char* pushback : {"-1", "", "soon", "1.5"}) {
    EXPECT_FALSE(
        RetryDelay(kOptions, 1, UnavailableFor(7), pushback, 0.0).has_value())
        << pushback;
  }
}

}  // namespace
}  // namespace lossd
