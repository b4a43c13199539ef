// What the client does when the server, the network or the caller is at fault.
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "client/lossd/client.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"
#include "tests/client/fake_server.h"

namespace lossd {
namespace {

using testing::FakeServer;
using ::testing::HasSubstr;

const std::vector<float> kLogits = {1, 2, 3, 4, 5, 6};
const std::vector<int64_t> kLabels = {2, 0};
const Batch<float> kBatch = {
    .rows = 2, .classes = 3, .logits = kLogits, .labels = kLabels};
constexpr RetryOptions kQuick = {.max_attempts = 4,
                                 .initial_backoff = absl::Milliseconds(1),
                                 .max_backoff = absl::Milliseconds(2)};

absl::StatusOr<LossSummary> Compute(const std::string& target,
                                    const RetryOptions& retry,
                                    absl::Duration timeout = absl::Seconds(60),
                                    const Batch<float>& batch = kBatch) {
  return Client::Connect({.target = target, .retry = retry})
      ->ComputeLoss<float>(batch, {}, CallOptions(timeout), {});
}

grpc::Status Unavailable(absl::Duration retry_delay) {
  google::rpc::RetryInfo info;
  info.mutable_retry_delay()->set_seconds(absl::ToInt64Seconds(retry_delay));
  info.mutable_retry_delay()->set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(retry_delay % absl::Seconds(1))));
  google::rpc::Status details;
  details.set_code(static_cast<int>(grpc::StatusCode::UNAVAILABLE));
  details.add_details()->PackFrom(info);
  return grpc::Status(grpc::StatusCode::UNAVAILABLE, "too busy",
                      details.SerializeAsString());
}

// Fails as often as said, with `status`, before it answers.
FakeServer::Handler FailTimes(int times, grpc::Status status,
                              const std::string& pushback = "") {
  auto left = std::make_shared<std::atomic<int>>(times);
  return [=](grpc::ServerContext& context, const auto&, auto& response) {
    if ((*left)-- <= 0) {
      response.set_loss(1.0);
      return grpc::Status::OK;
    }
    if (!pushback.empty()) {
      context.AddTrailingMetadata("grpc-retry-pushback-ms", pushback);
    }
    return status;
  };
}

TEST(ClientFailureTest, RetriesWhatIsUnavailable) {
  FakeServer server(
      FailTimes(3, {grpc::StatusCode::UNAVAILABLE, "restarting"}));
  const auto summary = Compute(server.target(), kQuick);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(server.calls(), 4);
}

TEST(ClientFailureTest, GivesUpWithTheLastErrorAfterAllAttempts) {
  FakeServer server(
      FailTimes(100, {grpc::StatusCode::UNAVAILABLE, "restarting"}));
  const absl::Status status = Compute(server.target(), kQuick).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(std::string(status.message()),
            "restarting (" + server.target() + ", 4 attempts)");
  EXPECT_EQ(server.calls(), 4);
}

// gRPC's own retries would not: 256 KiB is where they end.
TEST(ClientFailureTest, RetriesLargeRequests) {
  constexpr int64_t kRows = 100'000;
  const std::vector<float> logits(kRows * 3);
  const std::vector<int64_t> labels(kRows);
  FakeServer server(FailTimes(2, Unavailable(absl::Milliseconds(1))));
  const auto summary = Compute(
      server.target(), kQuick, absl::Seconds(60),
      {.rows = kRows, .classes = 3, .logits = logits, .labels = labels});
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(server.calls(), 3);
}

TEST(ClientFailureTest, DoesNotWaitBeyondTheDeadline) {
  FakeServer server(FailTimes(100, Unavailable(absl::Hours(1))));
  const absl::Status status =
      Compute(server.target(), kQuick, absl::Minutes(50)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(DetailsOf(status).retry_delay, absl::Hours(1));
  EXPECT_EQ(server.calls(), 1);
}

TEST(ClientFailureTest, LetsPushbackGoBeforeRetryInfo) {
  FakeServer server(FailTimes(1, Unavailable(absl::Hours(1)), "1"));
  EXPECT_TRUE(Compute(server.target(), kQuick, absl::Minutes(50)).ok());
  EXPECT_EQ(server.calls(), 2);
}

TEST(ClientFailureTest, DoesNotRetryAfterANegativePushback) {
  FakeServer server(FailTimes(1, Unavailable(absl::Milliseconds(1)), "-1"));
  EXPECT_EQ(Compute(server.target(), kQuick).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(server.calls(), 1);
}

TEST(ClientFailureTest, DoesNotRetryOtherErrors) {
  for (const auto code :
       {grpc::StatusCode::INVALID_ARGUMENT, grpc::StatusCode::UNIMPLEMENTED,
        grpc::StatusCode::RESOURCE_EXHAUSTED, grpc::StatusCode::INTERNAL,
        grpc::StatusCode::UNKNOWN}) {
    FakeServer server(FailTimes(1, {code, "labels[7] = 1000"}));
    const absl::Status status = Compute(server.target(), kQuick).status();
    EXPECT_EQ(static_cast<int>(status.code()), static_cast<int>(code));
    EXPECT_EQ(std::string(status.message()), "labels[7] = 1000");
    EXPECT_EQ(server.calls(), 1);
  }
}

TEST(ClientFailureTest, EndsACallToASlowServerAtItsDeadline) {
  absl::Notification answered;
  FakeServer server([&](auto&, const auto&, auto&) {
    answered.WaitForNotification();
    return grpc::Status::OK;
  });
  const absl::Status status =
      Compute(server.target(), kQuick, absl::Milliseconds(50)).status();
  answered.Notify();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), HasSubstr(server.target()));
}

// Without a deadline to end it: the refused connection itself is the answer.
TEST(ClientFailureTest, TellsThatNobodyListens) {
  auto server = std::make_unique<FakeServer>(FailTimes(0, grpc::Status::OK));
  const std::string target = server->target();
  server.reset();
  const absl::Status status =
      Compute(target, kQuick, absl::InfiniteDuration()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("Connection refused"));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("(" + target + ", 4 attempts)"));
}

TEST(ClientFailureTest, FindsARestartedServerAgain) {
  auto server = std::make_unique<FakeServer>(FailTimes(0, grpc::Status::OK));
  const std::string target = server->target();
  const auto client =
      Client::Connect({.target = target,
                       .retry = {.max_attempts = 1000,
                                 .initial_backoff = absl::Milliseconds(5),
                                 .max_backoff = absl::Milliseconds(50)}});
  const auto compute = [&](absl::Duration timeout) {
    return client->ComputeLoss<float>(kBatch, {}, CallOptions(timeout), {})
        .status();
  };
  EXPECT_TRUE(compute(absl::Seconds(60)).ok());
  server.reset();
  EXPECT_FALSE(compute(absl::Milliseconds(100)).ok());
  server = std::make_unique<FakeServer>(FailTimes(0, grpc::Status::OK), target);
  EXPECT_TRUE(compute(absl::Seconds(60)).ok());
}

TEST(ClientFailureTest, RefusesWrongSizesBeforeItSends) {
  FakeServer server(FailTimes(0, grpc::Status::OK));
  const auto client = Client::Connect({.target = server.target()});
  std::vector<float> four(4), five(5);
  const CallOptions call(absl::Seconds(60));
  const auto message = [&](const Batch<float>& batch,
                           const LossOutputs<float>& outputs) {
    const absl::Status status =
        client->ComputeLoss<float>(batch, {}, call, outputs).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  Batch<float> batch = kBatch;
  batch.rows = -1;
  EXPECT_EQ(message(batch, {}), "rows = -1, want >= 0");
  batch = kBatch;
  batch.classes = 0;
  EXPECT_EQ(message(batch, {}), "classes = 0, want >= 1");
  batch = kBatch;
  batch.logits = five;
  EXPECT_EQ(message(batch, {}), "logits has 5 elements, want 6");
  batch = kBatch;
  batch.labels = batch.labels.subspan(1);
  EXPECT_EQ(message(batch, {}), "labels has 1 elements, want 2");
  EXPECT_EQ(message(kBatch, {.gradient = absl::MakeSpan(five)}),
            "gradient has 5 elements, want 6");
  EXPECT_EQ(message(kBatch, {.row_losses = absl::MakeSpan(four)}),
            "row_losses has 4 elements, want 2");
  EXPECT_EQ(server.calls(), 0);
}

TEST(ClientFailureTest, RefusesWhatNoMessageHolds) {
  const auto client = Client::Connect({.target = "127.0.0.1:1"});
  for (const auto& [rows, classes] : std::vector<std::pair<int64_t, int64_t>>{
           {int64_t{1} << 62, 4},
           {int64_t{1} << 32, int64_t{1} << 32},
           {1, std::numeric_limits<int64_t>::max()},
           {1, (int64_t{1} << 29)},
           {int64_t{1} << 28, 1}}) {
    const absl::Status status =
        client
            ->ComputeLoss<float>({.rows = rows,
                                  .classes = classes,
                                  .logits = kLogits,
                                  .labels = kLabels},
                                 {}, CallOptions(absl::Seconds(60)), {})
            .status();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  }
}

TEST(ClientFailureTest, ConnectRefusesOptionsOutOfRange) {
  const auto code = [](const ClientOptions& options) {
    return Client::Connect(options).status().code();
  };
  const auto invalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code({.target = ""}), invalid);
  EXPECT_EQ(code({.retry = {.max_attempts = 0}}), invalid);
  EXPECT_EQ(code({.retry = {.initial_backoff = absl::ZeroDuration()}}),
            invalid);
  EXPECT_EQ(code({.retry = {.max_backoff = absl::Milliseconds(99)}}), invalid);
  EXPECT_EQ(code({.retry = {.multiplier = 0.99}}), invalid);
  EXPECT_EQ(code({.retry = {.jitter = 1.0}}), invalid);
  EXPECT_EQ(code({.retry = {.max_attempts = 1, .jitter = 0.0}}),
            absl::StatusCode::kOk);
}

}  // namespace
}  // namespace lossd
