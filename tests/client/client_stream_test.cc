// The client's streams against a server that computes: the bits of the unary
// call, whatever the server's limit.
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "client/lossd/client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/rpc/server.h"

namespace lossd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Progress = std::vector<std::pair<int64_t, int64_t>>;

std::unique_ptr<rpc::Server> StartServer(int64_t max_request_bytes) {
  rpc::Options options;
  options.listen = {"127.0.0.1:0"};
  options.compute_threads = 2;
  options.max_request_bytes = max_request_bytes;
  auto server = rpc::Server::Start(std::move(options));
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

CallOptions By(Transfer transfer, Progress* progress = nullptr) {
  CallOptions call(absl::Minutes(2));
  call.transfer = transfer;
  if (progress != nullptr) {
    call.progress = [progress](int64_t rows_done, int64_t rows) {
      progress->emplace_back(rows_done, rows);
    };
  }
  return call;
}

// Drawn rows with labels and, if asked for, targets.
template <typename T>
struct Rows {
  Rows(int64_t rows, int64_t classes) : rows(rows), classes(classes) {
    std::mt19937_64 random(rows * 1000 + classes);
    std::normal_distribution<double> normal(0, 3);
    for (int64_t i = 0; i < rows * classes; ++i) {
      logits.push_back(static_cast<T>(normal(random)));
      targets.push_back(static_cast<T>(random() % 8) / 8);
    }
    for (int64_t row = 0; row < rows; ++row) {
      labels.push_back(static_cast<int64_t>(random() % classes));
      weights.push_back(static_cast<double>(random() % 4 + 1));
    }
  }

  Batch<T> Labelled() const {
    return {
        .rows = rows, .classes = classes, .logits = logits, .labels = labels};
  }
  Batch<T> WithTargets() const {
    return {.rows = rows,
            .classes = classes,
            .logits = logits,
            .targets = targets,
            .row_weights = weights};
  }

  int64_t rows;
  int64_t classes;
  std::vector<T> logits;
  std::vector<T> targets;
  std::vector<int64_t> labels;
  std::vector<double> weights;
};

// Every result that a stream can have.
template <typename T, typename G>
struct Results {
  Results(const Batch<T>& batch, bool with_gradient)
      : gradient(with_gradient ? batch.logits.size() : 0),
        row_losses(batch.rows),
        log_sum_exp(batch.rows),
        predictions(batch.rows) {}

  absl::Status Fill(const Client& client, const Batch<T>& batch,
                    const CallOptions& call, const LossOptions& options = {}) {
    const auto got =
        client.ComputeLoss<T, G>(batch, options, call,
                                 {.gradient = absl::MakeSpan(gradient),
                                  .row_losses = absl::MakeSpan(row_losses),
                                  .log_sum_exp = absl::MakeSpan(log_sum_exp),
                                  .predictions = absl::MakeSpan(predictions)});
    if (got.ok()) summary = *got;
    return got.status();
  }

  std::vector<G> gradient;
  std::vector<T> row_losses;
  std::vector<T> log_sum_exp;
  std::vector<int64_t> predictions;
  LossSummary summary;
};

template <typename T, typename G>
void ExpectSame(const Results<T, G>& got, const Results<T, G>& want) {
  EXPECT_EQ(got.gradient, want.gradient);
  EXPECT_EQ(got.row_losses, want.row_losses);
  EXPECT_EQ(got.log_sum_exp, want.log_sum_exp);
  EXPECT_EQ(got.predictions, want.predictions);
  EXPECT_EQ(got.summary.loss, want.summary.loss);
  EXPECT_EQ(got.summary.row_count, want.summary.row_count);
  EXPECT_EQ(got.summary.correct_count, want.summary.correct_count);
  EXPECT_EQ(got.summary.divisor, want.summary.divisor);
}

class ClientStreamTest : public ::testing::Test {
 protected:
  explicit ClientStreamTest(int64_t max_request_bytes = int64_t{256} << 20)
      : server_(StartServer(max_request_bytes)),
        client_(*Client::Connect({.target = server_->addresses().front()})) {}

  template <typename T, typename G>
  void ExpectTheBitsOfTheUnaryCall(int64_t rows, int64_t classes) {
    const Rows<T> drawn(rows, classes);
    for (const Batch<T>& batch : {drawn.Labelled(), drawn.WithTargets()}) {
      for (const bool with_gradient : {true, false}) {
        Results<T, G> want(batch, with_gradient), got(batch, with_gradient);
        ASSERT_EQ(want.Fill(client_, batch, By(Transfer::kUnary)),
                  absl::OkStatus());
        ASSERT_EQ(got.Fill(client_, batch, By(Transfer::kStream)),
                  absl::OkStatus());
        ExpectSame(got, want);
      }
    }
  }

  const std::unique_ptr<rpc::Server> server_;
  const Client client_;
};

TEST_F(ClientStreamTest, HasTheBitsOfTheUnaryCall) {
  // Three chunks, the last one shorter, of float32; a row longer than a chunk.
  for (const auto& [rows, classes] :
       {std::pair<int64_t, int64_t>{300, 2000}, {2, 300'000}, {1, 1}, {1, 5}}) {
    ExpectTheBitsOfTheUnaryCall<float, float>(rows, classes);
    ExpectTheBitsOfTheUnaryCall<double, double>(rows, classes);
  }
  ExpectTheBitsOfTheUnaryCall<float, double>(300, 2000);
  ExpectTheBitsOfTheUnaryCall<double, float>(300, 2000);
}

TEST_F(ClientStreamTest, OfNoRowsHasItsSummary) {
  Progress progress;
  const auto summary = client_.ComputeLoss<float>(
      {.rows = 0, .classes = 3}, {.reduction = Reduction::kSum},
      By(Transfer::kStream, &progress), {});
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->loss, 0.0);
  EXPECT_EQ(summary->row_count, 0);
  EXPECT_THAT(progress, ElementsAre(std::pair(0, 0)));
}

TEST_F(ClientStreamTest, TellsTheRowsAnsweredOrSent) {
  const Rows<float> rows(300, 2000);
  const Batch<float> batch = rows.Labelled();
  for (const bool with_gradient : {true, false}) {
    Results<float, float> results(batch, with_gradient);
    Progress progress;
    ASSERT_TRUE(
        results.Fill(client_, batch, By(Transfer::kStream, &progress)).ok());
    EXPECT_THAT(progress, ElementsAre(std::pair(131, 300), std::pair(262, 300),
                                      std::pair(300, 300)));
    progress.clear();
    ASSERT_TRUE(
        results.Fill(client_, batch, By(Transfer::kUnary, &progress)).ok());
    EXPECT_THAT(progress, ElementsAre(std::pair(300, 300)));
  }
}

TEST_F(ClientStreamTest, PassesOnWhatTheServerRefuses) {
  Rows<float> rows(300, 2000);
  rows.logits.back() = NAN;
  Results<float, float> results(rows.Labelled(), true);
  absl::Status status =
      results.Fill(client_, rows.Labelled(), By(Transfer::kStream));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("logits[299, 1999]"));
  EXPECT_EQ(DetailsOf(status).reason, "NON_FINITE_LOGIT");
  rows.labels[7] = 2000;
  status = results.Fill(client_, rows.Labelled(), By(Transfer::kStream));
  EXPECT_EQ(std::string(status.message()), "labels[7] = 2000, want [0, 2000)");
}

TEST_F(ClientStreamTest, WantsWholeRowsAndOneChunkPerResult) {
  const Rows<float> rows(4, 3);
  std::vector<float> elements(12);
  const auto message = [&](int64_t inner, const LossOutputs<float>& outputs) {
    Batch<float> batch = rows.Labelled();
    batch.inner = inner;
    const absl::Status status =
        client_.ComputeLoss<float>(batch, {}, By(Transfer::kStream), outputs)
            .status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_EQ(message(2, {}),
            "inner = 2, want 1 for a stream: its chunks are of whole rows");
  EXPECT_EQ(message(1, {.probabilities = absl::MakeSpan(elements)}),
            "probabilities were asked of a stream, want none: they are one "
            "message");
  EXPECT_EQ(message(1, {.log_probabilities = absl::MakeSpan(elements)}),
            "log_probabilities were asked of a stream, want none: they are one "
            "message");
}

// A server that takes less than the batch, 100 rows of 4000 bytes.
class ClientStreamLimitTest : public ClientStreamTest {
 protected:
  ClientStreamLimitTest() : ClientStreamTest(9000) {}

  // What a server without such a limit says.
  Results<float, float> Want(const Batch<float>& batch) {
    const auto server = StartServer(int64_t{256} << 20);
    Results<float, float> want(batch, true);
    EXPECT_TRUE(
        want.Fill(*Client::Connect({.target = server->addresses().front()}),
                  batch, By(Transfer::kUnary))
            .ok());
    return want;
  }

  const Rows<float> rows_ = Rows<float>(100, 1000);
};

TEST_F(ClientStreamLimitTest, SendsChunksThatFit) {
  const Batch<float> batch = rows_.Labelled();
  const Results<float, float> want = Want(batch);
  for (const Transfer transfer : {Transfer::kAuto, Transfer::kStream}) {
    const Client fresh =
        *Client::Connect({.target = server_->addresses().front()});
    for (int call = 0; call < 2; ++call) {
      Results<float, float> got(batch, true);
      Progress progress;
      ASSERT_EQ(got.Fill(fresh, batch, By(transfer, &progress)),
                absl::OkStatus());
      ExpectSame(got, want);
      ASSERT_EQ(progress.size(), 50u);
      EXPECT_EQ(progress.front(), std::pair(int64_t{2}, int64_t{100}));
    }
  }
}

TEST_F(ClientStreamLimitTest, IsTheServersErrorWhereNothingSmallerCanBeSent) {
  const auto expect_refused = [&](const Batch<float>& batch, Transfer transfer,
                                  const std::string& message) {
    Results<float, float> results(batch, true);
    Progress progress;
    const absl::Status status =
        results.Fill(client_, batch, By(transfer, &progress));
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
    EXPECT_EQ(DetailsOf(status).reason, "REQUEST_TOO_LARGE");
    EXPECT_THAT(progress, IsEmpty());
  };
  expect_refused(rows_.Labelled(), Transfer::kUnary, "at most 9000");
  const Rows<float> long_rows(3, 2300);
  for (const Transfer transfer : {Transfer::kAuto, Transfer::kStream}) {
    // A row; targets, which the header has.
    expect_refused(long_rows.Labelled(), transfer, "message of 92");
    expect_refused(rows_.WithTargets(), transfer, "message of 40");
  }
  // Probabilities are one message.
  std::vector<float> probabilities(100'000);
  EXPECT_EQ(
      client_
          .ComputeLoss<float>(rows_.Labelled(), {}, By(Transfer::kAuto),
                              {.probabilities = absl::MakeSpan(probabilities)})
          .status()
          .code(),
      absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace lossd
