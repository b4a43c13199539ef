// What the client makes of servers that answer a stream badly, late or not at
// all, and when it streams by itself.
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
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

using ::testing::ElementsAre;
using testing::FakeServer;
using ::testing::HasSubstr;
using Progress = std::vector<std::pair<int64_t, int64_t>>;

constexpr int64_t kRows = 6;
constexpr int64_t kClasses = 200'000;  // a row, 800 kB, is a chunk
constexpr RetryOptions kQuick = {.max_attempts = 4,
                                 .initial_backoff = absl::Milliseconds(1),
                                 .max_backoff = absl::Milliseconds(2)};

// A gradient of `rows` rows, each element of a row its number.
v1::StreamLossResponse Gradient(int64_t first_row, int64_t rows,
                                int64_t classes = kClasses) {
  std::vector<float> values;
  for (int64_t row = first_row; row < first_row + rows; ++row) {
    values.insert(values.end(), classes, static_cast<float>(row));
  }
  v1::StreamLossResponse response;
  response.mutable_gradient_chunk()->set_first_row(first_row);
  response.mutable_gradient_chunk()->set_raw(values.data(), values.size() * 4);
  return response;
}

v1::StreamLossResponse Summary() {
  v1::StreamLossResponse response;
  response.mutable_summary()->set_loss(1.5);
  return response;
}

// Reads to the end and then answers as it should, but for `change`.
using Answers = std::vector<v1::StreamLossResponse>;
FakeServer::StreamHandler Answering(
    std::function<void(Answers& answers)> change) {
  return [change](auto&, FakeServer::Stream& stream) {
    v1::StreamLossRequest request;
    while (stream.Read(&request)) {
    }
    Answers answers;
    for (int64_t row = 0; row < kRows; ++row) {
      answers.push_back(Gradient(row, 1));
    }
    answers.push_back(Summary());
    change(answers);
    for (const v1::StreamLossResponse& answer : answers) stream.Write(answer);
    return grpc::Status::OK;
  };
}

grpc::Status TooLarge(int64_t max_request_bytes) {
  google::rpc::ErrorInfo info;
  info.set_reason("REQUEST_TOO_LARGE");
  (*info.mutable_metadata())["max_request_bytes"] =
      std::to_string(max_request_bytes);
  google::rpc::Status details;
  details.set_code(static_cast<int>(grpc::StatusCode::RESOURCE_EXHAUSTED));
  details.add_details()->PackFrom(info);
  return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "too large",
                      details.SerializeAsString());
}

class ClientStreamFailureTest : public ::testing::Test {
 protected:
  absl::StatusOr<LossSummary> Compute(
      Transfer transfer = Transfer::kStream,
      absl::Duration timeout = absl::Seconds(60)) {
    CallOptions call(timeout);
    call.transfer = transfer;
    call.progress = [this](int64_t rows_done, int64_t rows) {
      progress_.emplace_back(rows_done, rows);
    };
    return client_.ComputeLoss<float>({.rows = kRows,
                                       .classes = kClasses,
                                       .logits = logits_,
                                       .labels = labels_},
                                      {}, call,
                                      {.gradient = absl::MakeSpan(gradient_)});
  }

  // What is said of answers with `change`.
  std::string MessageOf(std::function<void(Answers& answers)> change) {
    server_.OnStreamLoss(Answering(std::move(change)));
    const absl::Status status = Compute().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
    return std::string(status.message());
  }

  std::atomic<int> unary_calls_{0};
  FakeServer server_{[this](auto&, const auto&, auto& response) {
    ++unary_calls_;
    response.set_loss(2.5);
    response.mutable_gradient()->set_data_type(v1::DATA_TYPE_FLOAT32);
    response.mutable_gradient()->set_raw(
        std::string(4 * kRows * kClasses, '\0'));
    return grpc::Status::OK;
  }};
  const Client client_ =
      *Client::Connect({.target = server_.target(), .retry = kQuick});
  const std::vector<float> logits_ = std::vector<float>(kRows * kClasses);
  const std::vector<int64_t> labels_ = std::vector<int64_t>(kRows);
  std::vector<float> gradient_ = std::vector<float>(kRows * kClasses);
  Progress progress_;
};

TEST_F(ClientStreamFailureTest, TakesRightAnswersInChunksOfAnyLength) {
  server_.OnStreamLoss(Answering([](Answers& answers) {
    answers = {Gradient(0, 1), Gradient(1, 4), Gradient(5, 1), Summary()};
  }));
  const auto summary = Compute();
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->loss, 1.5);
  EXPECT_THAT(progress_,
              ElementsAre(std::pair(1, 6), std::pair(5, 6), std::pair(6, 6)));
  for (int64_t i = 0; i < kRows * kClasses; ++i) {
    ASSERT_EQ(gradient_[i], static_cast<float>(i / kClasses)) << i;
  }
}

TEST_F(ClientStreamFailureTest, SaysWhatIsWrongWithAnswers) {
  EXPECT_EQ(MessageOf([](auto& answers) { std::swap(answers[1], answers[2]); }),
            "the server answered a gradient chunk from row 2, want row 1");
  EXPECT_EQ(MessageOf([](auto& answers) { answers[2] = answers[1]; }),
            "the server answered a gradient chunk from row 1, want row 2");
  EXPECT_EQ(MessageOf([](auto& answers) {
              answers[4].mutable_gradient_chunk()->mutable_raw()->pop_back();
            }),
            "the server answered 799999 bytes of gradient from row 4, want a "
            "positive multiple of 800000 up to 1600000, the rows sent");
  EXPECT_THAT(MessageOf([](auto& answers) {
                answers[5].mutable_gradient_chunk()->clear_raw();
              }),
              HasSubstr("answered 0 bytes of gradient from row 5"));
  EXPECT_THAT(MessageOf([](auto& answers) { answers[5] = Gradient(5, 2); }),
              HasSubstr("answered 1600000 bytes of gradient from row 5, want a "
                        "positive multiple of 800000 up to 800000"));
  EXPECT_EQ(MessageOf([](auto& answers) { answers.erase(answers.end() - 2); }),
            "the server sent its summary after 5 of 6 rows");
  EXPECT_EQ(MessageOf([](auto& answers) { answers.pop_back(); }),
            "the server ended the stream without a summary, 6 of 6 rows sent");
  EXPECT_EQ(MessageOf([](auto& answers) { answers.push_back(Summary()); }),
            "the server answered more after its summary");
  EXPECT_EQ(MessageOf([](auto& answers) { answers[0].Clear(); }),
            "the server answered neither a gradient chunk nor a summary");
}

TEST_F(ClientStreamFailureTest, RefusesAGradientThatWasNotAskedFor) {
  server_.OnStreamLoss(Answering([](auto&) {}));
  gradient_.clear();
  EXPECT_EQ(std::string(Compute().status().message()),
            "the server answered a gradient chunk, want none");
}

// The client has more to send than anybody takes.
TEST_F(ClientStreamFailureTest, EndsWhenTheServerDoes) {
  server_.OnStreamLoss([](auto&, auto&) {
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "labels[0] = 9");
  });
  const absl::Status status = Compute().status();
  EXPECT_EQ(status, absl::InvalidArgumentError("labels[0] = 9"));
  server_.OnStreamLoss([](auto&, auto&) { return grpc::Status::OK; });
  const absl::Status early = Compute().status();
  EXPECT_EQ(early.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(early.message()),
              HasSubstr("the server ended the stream without a summary, "));
  server_.OnStreamLoss([](auto&, FakeServer::Stream& stream) {
    stream.Write(Summary());
    return grpc::Status::OK;
  });
  EXPECT_EQ(std::string(Compute().status().message()),
            "the server sent its summary after 0 of 6 rows");
}

TEST_F(ClientStreamFailureTest, IsSentAgainAsAWholeWhenUnavailable) {
  // A handler may end after this test.
  const auto left = std::make_shared<std::atomic<int>>(2);
  server_.OnStreamLoss(
      [left, answer = Answering([](auto&) {})](grpc::ServerContext& context,
                                               FakeServer::Stream& stream) {
        if ((*left)-- <= 0) return answer(context, stream);
        v1::StreamLossRequest request;
        stream.Read(&request);
        stream.Read(&request);
        stream.Write(Gradient(0, 1));
        return grpc::Status(grpc::StatusCode::UNAVAILABLE, "restarting");
      });
  const auto summary = Compute();
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(server_.calls(), 3);
  ASSERT_GE(progress_.size(), 6u);
  EXPECT_THAT(Progress(progress_.end() - 6, progress_.end()),
              ElementsAre(std::pair(1, 6), std::pair(2, 6), std::pair(3, 6),
                          std::pair(4, 6), std::pair(5, 6), std::pair(6, 6)));
}

TEST_F(ClientStreamFailureTest, EndsAtItsDeadline) {
  // The handler may end after this test.
  const auto ended = std::make_shared<absl::Notification>();
  server_.OnStreamLoss([ended](auto&, auto&) {
    ended->WaitForNotification();
    return grpc::Status::OK;
  });
  const absl::Status status =
      Compute(Transfer::kStream, absl::Milliseconds(50)).status();
  ended->Notify();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), HasSubstr(server_.target()));
}

TEST_F(ClientStreamFailureTest, IsChosenBySize) {
  server_.OnStreamLoss(Answering([](auto&) {}));
  EXPECT_EQ(Compute(Transfer::kAuto)->loss, 1.5);
  EXPECT_EQ(Compute(Transfer::kUnary)->loss, 2.5);
  const auto loss = [&](int64_t classes) {
    return client_
        .ComputeLoss<float>({.rows = 1,
                             .classes = classes,
                             .logits = absl::MakeSpan(logits_).first(classes),
                             .labels = absl::MakeSpan(labels_).first(1)},
                            {}, CallOptions(absl::Seconds(60)), {})
        ->loss;
  };
  server_.OnStreamLoss(
      Answering([](Answers& answers) { answers = {Summary()}; }));
  EXPECT_EQ(loss((1 << 20) - 1), 2.5);
  EXPECT_EQ(loss(1 << 20), 1.5);
}

TEST_F(ClientStreamFailureTest, FallsBackToOneMessageWithoutTheMethod) {
  const auto summary = Compute(Transfer::kAuto);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->loss, 2.5);
  EXPECT_EQ(Compute(Transfer::kStream).status().code(),
            absl::StatusCode::kUnimplemented);
}

// The chunks of a stream, by their lengths.
class ClientStreamLimitsTest : public ::testing::Test {
 protected:
  std::atomic<int> unary_calls_{0};
  FakeServer server_{[this](auto&, const auto&, auto&) {
    ++unary_calls_;
    return TooLarge(100);
  }};
};

TEST_F(ClientStreamLimitsTest, AreRememberedByTheClient) {
  std::mutex mutex;
  std::vector<size_t> chunk_bytes;  // guarded by mutex
  server_.OnStreamLoss([&](auto&, FakeServer::Stream& stream) {
    std::lock_guard<std::mutex> lock(mutex);
    v1::StreamLossRequest request;
    while (stream.Read(&request)) {
      if (request.has_chunk()) {
        chunk_bytes.push_back(request.chunk().raw().size());
      }
    }
    stream.Write(Summary());
    return grpc::Status::OK;
  });
  const auto client = Client::Connect({.target = server_.target()});
  const std::vector<float> logits(55);
  const std::vector<int64_t> labels(5);
  for (int call = 0; call < 3; ++call) {
    const auto summary = client->ComputeLoss<float>(
        {.rows = 5, .classes = 11, .logits = logits, .labels = labels}, {},
        CallOptions(absl::Seconds(60)), {});
    ASSERT_TRUE(summary.ok()) << summary.status();
  }
  EXPECT_EQ(unary_calls_, 1);
  std::lock_guard<std::mutex> lock(mutex);
  EXPECT_THAT(chunk_bytes, ElementsAre(88, 88, 44, 88, 88, 44, 88, 88, 44));
}

}  // namespace
}  // namespace lossd
