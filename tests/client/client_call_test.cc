// What the client sends and what it makes of answers.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "client/lossd/client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/fake_server.h"
#include "tests/client/process.h"
#include "tests/client/recorder.h"

namespace lossd {
namespace {

using ::testing::ElementsAre;
using testing::FakeServer;
using ::testing::HasSubstr;
using testing::Recorder;
using testing::SetRaw;
using testing::Values;

CallOptions Soon() { return CallOptions(absl::Seconds(30)); }

Client Connect(const std::string& target) {
  return *Client::Connect({.target = target, .retry = {.max_attempts = 1}});
}

const std::vector<float> kLogits = {1, 2, 3, 4, 5, 6};
const std::vector<int64_t> kLabels = {2, 0};
const Batch<float> kBatch = {
    .rows = 2, .classes = 3, .logits = kLogits, .labels = kLabels};

TEST(ClientCallTest, SendsTheBatchAndEveryOption) {
  Recorder recorder;
  const auto summary =
      Connect(recorder.target())
          .ComputeLoss<float>(
              kBatch,
              {.loss = NegativeLogLikelihood{.ignore_index = -100},
               .reduction = Reduction::kMean,
               .divisor = 7.5,
               .non_finite_policy = NonFinitePolicy::kPropagate},
              Soon(), {});
  ASSERT_TRUE(summary.ok()) << summary.status();
  const v1::ComputeLossRequest& request = recorder.request();
  EXPECT_EQ(request.loss().negative_log_likelihood().ignore_index(), -100);
  EXPECT_EQ(request.reduction(), v1::REDUCTION_MEAN);
  EXPECT_EQ(request.divisor(), 7.5);
  EXPECT_EQ(request.non_finite_policy(), v1::NON_FINITE_POLICY_PROPAGATE);
  EXPECT_EQ(request.logits().data_type(), v1::DATA_TYPE_FLOAT32);
  EXPECT_THAT(request.logits().shape(), ElementsAre(2, 3));
  EXPECT_EQ(Values<float>(request.logits()), kLogits);
  EXPECT_EQ(request.labels().data_type(), v1::DATA_TYPE_INT64);
  EXPECT_THAT(request.labels().shape(), ElementsAre(2));
  EXPECT_EQ(Values<int64_t>(request.labels()), kLabels);
  EXPECT_THAT(request.outputs(), ElementsAre(v1::OUTPUT_LOSS));
}

TEST(ClientCallTest, LeavesOptionsOutThatWereNotGiven) {
  Recorder recorder;
  ASSERT_TRUE(Connect(recorder.target())
                  .ComputeLoss<float>(kBatch, {.reduction = Reduction::kNone},
                                      Soon(), {})
                  .ok());
  EXPECT_TRUE(recorder.request().loss().has_softmax_cross_entropy());
  EXPECT_FALSE(
      recorder.request().loss().softmax_cross_entropy().has_ignore_index());
  EXPECT_FALSE(recorder.request().has_divisor());
  EXPECT_EQ(recorder.request().reduction(), v1::REDUCTION_NONE);
  EXPECT_EQ(recorder.request().non_finite_policy(),
            v1::NON_FINITE_POLICY_REJECT);
}

TEST(ClientCallTest, FillsEveryOutput) {
  Recorder recorder;
  v1::ComputeLossResponse response;
  response.set_loss(0.25);
  response.set_row_count(2);
  response.set_correct_count(1);
  response.set_divisor(4);
  const auto type = v1::DATA_TYPE_FLOAT32;
  SetRaw<float>(response.mutable_gradient(), type, {1, 2, 3, 4, 5, 6});
  SetRaw<float>(response.mutable_probabilities(), type, {2, 3, 4, 5, 6, 7});
  SetRaw<float>(response.mutable_log_probabilities(), type, {3, 4, 5, 6, 7, 8});
  SetRaw<float>(response.mutable_row_losses(), type, {9, 10});
  SetRaw<float>(response.mutable_log_sum_exp(), type, {11, 12});
  SetRaw<int64_t>(response.mutable_predictions(), v1::DATA_TYPE_INT64, {2, 1});
  recorder.Answer(response);
  std::vector<float> gradient(6), probabilities(6), log_probabilities(6);
  std::vector<float> row_losses(2), log_sum_exp(2);
  std::vector<int64_t> predictions(2);
  const auto summary =
      Connect(recorder.target())
          .ComputeLoss<float>(
              kBatch, {}, Soon(),
              {.gradient = absl::MakeSpan(gradient),
               .row_losses = absl::MakeSpan(row_losses),
               .log_sum_exp = absl::MakeSpan(log_sum_exp),
               .probabilities = absl::MakeSpan(probabilities),
               .log_probabilities = absl::MakeSpan(log_probabilities),
               .predictions = absl::MakeSpan(predictions)});
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->loss, 0.25);
  EXPECT_EQ(summary->row_count, 2);
  EXPECT_EQ(summary->correct_count, 1);
  EXPECT_EQ(summary->divisor, 4);
  EXPECT_THAT(gradient, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(probabilities, ElementsAre(2, 3, 4, 5, 6, 7));
  EXPECT_THAT(log_probabilities, ElementsAre(3, 4, 5, 6, 7, 8));
  EXPECT_THAT(row_losses, ElementsAre(9, 10));
  EXPECT_THAT(log_sum_exp, ElementsAre(11, 12));
  EXPECT_THAT(predictions, ElementsAre(2, 1));
  EXPECT_THAT(
      recorder.request().outputs(),
      ElementsAre(v1::OUTPUT_LOSS, v1::OUTPUT_GRADIENT, v1::OUTPUT_ROW_LOSSES,
                  v1::OUTPUT_LOG_SUM_EXP, v1::OUTPUT_PROBABILITIES,
                  v1::OUTPUT_LOG_PROBABILITIES, v1::OUTPUT_PREDICTIONS));
}

TEST(ClientCallTest, HasNoLossWhenTheServerSendsNone) {
  Recorder recorder;
  const auto summary =
      Connect(recorder.target()).ComputeLoss<float>(kBatch, {}, Soon(), {});
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_FALSE(summary->loss.has_value());
}

TEST(ClientCallTest, SendsABatchOfNoRows) {
  Recorder recorder;
  const auto summary =
      Connect(recorder.target())
          .ComputeLoss<float>({.rows = 0, .classes = 3}, {}, Soon(), {});
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_THAT(recorder.request().logits().shape(), ElementsAre(0, 3));
  EXPECT_THAT(recorder.request().labels().shape(), ElementsAre(0));
  EXPECT_EQ(recorder.request().logits().raw(), "");
}

TEST(ClientCallTest, RefusesAnAnswerOfAnotherLengthOrType) {
  Recorder recorder;
  std::vector<float> gradient(6);
  const Client client = Connect(recorder.target());
  const auto compute = [&] {
    return client
        .ComputeLoss<float>(kBatch, {}, Soon(),
                            {.gradient = absl::MakeSpan(gradient)})
        .status();
  };
  v1::ComputeLossResponse response;
  SetRaw<float>(response.mutable_gradient(), v1::DATA_TYPE_FLOAT32,
                {1, 2, 3, 4, 5});
  recorder.Answer(response);
  EXPECT_EQ(compute().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(
      std::string(compute().message()),
      HasSubstr("gradient with 20 bytes of DATA_TYPE_FLOAT32, want 24"));
  SetRaw<double>(response.mutable_gradient(), v1::DATA_TYPE_FLOAT64, {1, 2, 3});
  recorder.Answer(response);
  EXPECT_EQ(compute().code(), absl::StatusCode::kInternal);
}

// gRPC's own limit is 4 MiB, for what comes in as for what goes out.
TEST(ClientCallTest, TakesMessagesOverFourMebibytesBothWays) {
  constexpr int64_t kClasses = 1'500'000;
  const std::vector<double> logits(kClasses, 0.5);
  const std::vector<int64_t> labels = {0};
  FakeServer server([](auto&, const auto& request, auto& response) {
    *response.mutable_gradient() = request.logits();
    return grpc::Status::OK;
  });
  std::vector<double> gradient(kClasses);
  CallOptions unary = Soon();
  unary.transfer = Transfer::kUnary;
  const auto summary =
      Connect(server.target())
          .ComputeLoss<double>({.rows = 1,
                                .classes = kClasses,
                                .logits = logits,
                                .labels = labels},
                               {}, unary,
                               {.gradient = absl::MakeSpan(gradient)});
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(gradient, logits);
}

TEST(ClientCallTest, ServesManyThreads) {
  FakeServer server([](auto&, const auto& request, auto& response) {
    response.set_loss(request.divisor());
    return grpc::Status::OK;
  });
  const Client client = Connect(server.target());
  std::vector<double> losses(8, 0.0);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < losses.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int call = 0; call < 20; ++call) {
        const auto summary = client.ComputeLoss<float>(
            kBatch, {.divisor = static_cast<double>(i + 1)}, Soon(), {});
        losses[i] += summary.ok() ? summary->loss.value_or(0.0) : std::nan("");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(losses, ElementsAre(20, 40, 60, 80, 100, 120, 140, 160));
}

// Large enough for the memory that requests share.
TEST(ClientCallTest, MixesUpNoLargeRequestsOfManyThreads) {
  constexpr int64_t kClasses = 50'000;
  FakeServer server([](auto&, const auto& request, auto& response) {
    *response.mutable_gradient() = request.logits();
    return grpc::Status::OK;
  });
  const Client client = Connect(server.target());
  std::vector<int> right(4);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < right.size(); ++i) {
    threads.emplace_back([&, i] {
      std::vector<float> gradient(kClasses);
      for (int call = 0; call < 10; ++call) {
        const std::vector<float> logits(kClasses,
                                        static_cast<float>(10 * i + call));
        const auto summary = client.ComputeLoss<float>(
            {.rows = 1,
             .classes = kClasses,
             .logits = logits,
             .labels = absl::MakeConstSpan(kLabels).subspan(0, 1)},
            {}, Soon(), {.gradient = absl::MakeSpan(gradient)});
        right[i] += summary.ok() && gradient == logits ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(right, ElementsAre(10, 10, 10, 10));
}

TEST(ClientCallTest, GoesPastAnHttpProxy) {
  setenv("http_proxy", "http://127.0.0.1:1", 1);
  Recorder recorder;
  const absl::Status status = Connect(recorder.target())
                                  .ComputeLoss<float>(kBatch, {}, Soon(), {})
                                  .status();
  unsetenv("http_proxy");
  EXPECT_TRUE(status.ok()) << status;
}

TEST(ClientCallTest, ReachesAUnixSocket) {
  const testing::TestDirectory directory;
  FakeServer server(
      [](auto&, const auto&, auto& response) {
        response.set_loss(3.0);
        return grpc::Status::OK;
      },
      "unix:" + directory.Path("socket"));
  const auto summary =
      Connect(server.target()).ComputeLoss<float>(kBatch, {}, Soon(), {});
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->loss, 3.0);
}

TEST(ClientCallTest, TellsWhatTheServerIs) {
  Recorder recorder;
  const auto info = Connect(recorder.target()).GetServerInfo(Soon());
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->version, "1.2.3");
  EXPECT_EQ(info->kernel, "FAKE");
  EXPECT_EQ(info->compute_threads, 3);
  EXPECT_EQ(info->max_request_bytes, 1000);
  EXPECT_EQ(info->memory_budget_bytes, 2000);
  EXPECT_THAT(info->losses, ElementsAre("huber"));
  EXPECT_THAT(info->data_types, ElementsAre("FLOAT64"));
}

TEST(ClientCallTest, TellsTheHealthOfEachService) {
  Recorder recorder;
  recorder.server().SetServing("a", true);
  recorder.server().SetServing("b", false);
  const Client client = Connect(recorder.target());
  EXPECT_EQ(*client.CheckHealth("a", Soon()), Health::kServing);
  EXPECT_EQ(*client.CheckHealth("b", Soon()), Health::kNotServing);
  EXPECT_EQ(*client.CheckHealth("", Soon()), Health::kServing);
  EXPECT_EQ(client.CheckHealth("c", Soon()).status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace lossd
