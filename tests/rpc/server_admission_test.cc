// A memory budget, and callers who want more than there is.
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/rpc/requests.h"
#include "tests/rpc/test_server.h"

namespace lossd::rpc {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr char kComputeLoss[] = "/lossd.v1.LossService/ComputeLoss";
constexpr int64_t kMiB = int64_t{1} << 20;
// A caller of whom nothing is known reserves 16 MiB; 60 are for such calls.
constexpr int64_t kBudget = 64 * kMiB;
constexpr int kStrangers = 3;

Options WithBudget(int64_t bytes) {
  Options options = TestOptions();
  options.memory_budget_bytes = bytes;
  return options;
}

// A request with float32 logits of so many MiB, and its gradient.
v1::ComputeLossRequest LargeRequest(int64_t mib) {
  constexpr int64_t kClasses = 1024;
  const int64_t rows = mib * kMiB / (kClasses * sizeof(float));
  v1::ComputeLossRequest request;
  request.mutable_logits()->set_data_type(v1::DATA_TYPE_FLOAT32);
  request.mutable_logits()->add_shape(rows);
  request.mutable_logits()->add_shape(kClasses);
  request.mutable_logits()->set_raw(std::string(mib * kMiB, '\0'));
  request.mutable_labels()->set_data_type(v1::DATA_TYPE_INT32);
  request.mutable_labels()->add_shape(rows);
  request.mutable_labels()->set_raw(std::string(rows * sizeof(int32_t), '\0'));
  return request;
}

void WaitFor(const std::function<bool()>& condition) {
  while (!condition()) std::this_thread::yield();
}

// Calls that have reserved memory and send nothing, a connection each.
std::vector<std::unique_ptr<RawCall>> Stall(TestServer& server, int calls) {
  std::vector<std::unique_ptr<RawCall>> stalled;
  for (int i = 0; i < calls; ++i) {
    const int64_t reserved = server.server().reserved_bytes();
    stalled.push_back(std::make_unique<RawCall>(
        Connect(server.server().addresses()[0]), kComputeLoss));
    WaitFor([&] { return server.server().reserved_bytes() > reserved; });
  }
  return stalled;
}

void EndAll(std::vector<std::unique_ptr<RawCall>>& calls) {
  for (const auto& call : calls) {
    call->HalfClose();
    EXPECT_EQ(call->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  calls.clear();
}

// The answer to `request`, as often as it takes.
v1::ComputeLossResponse ComputedWithRetries(
    TestServer& server, const v1::ComputeLossRequest& request) {
  for (;;) {
    grpc::ClientContext context;
    v1::ComputeLossResponse response;
    const grpc::Status status =
        server.stub().ComputeLoss(&context, request, &response);
    if (status.ok()) return response;
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE) {
      ADD_FAILURE() << status.error_message();
      return response;
    }
  }
}

TEST(MemoryBudgetTest, BoundsTheLargestRequest) {
  TestServer server(WithBudget(kBudget));
  const v1::GetServerInfoResponse info = server.GetServerInfo();
  EXPECT_EQ(info.memory_budget_bytes(), kBudget);
  EXPECT_EQ(info.max_request_bytes(), 30 * kMiB - (64 << 10));
}

TEST(MemoryBudgetTest, IsFreeAgainAfterEveryCall) {
  TestServer server(WithBudget(kBudget));
  EXPECT_EQ(server.ComputeLoss(LargeRequest(20)).row_count(), 5120);
  EXPECT_EQ(server.ComputeLoss(RequestWith()).row_count(), 2);
  WaitFor([&] { return server.server().reserved_bytes() == 0; });
}

TEST(MemoryBudgetTest, RefusesACallThatCouldNeverHaveRoom) {
  TestServer server(WithBudget(16 * kMiB));
  v1::ComputeLossRequest request = LargeRequest(7);
  request.add_outputs(v1::OUTPUT_GRADIENT);
  request.add_outputs(v1::OUTPUT_PROBABILITIES);
  const grpc::Status status = server.StatusOf(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("16777216 for all calls"));
  EXPECT_EQ(ErrorInfoOf(status).reason(), "REQUEST_TOO_LARGE");
  WaitFor([&] { return server.server().reserved_bytes() == 0; });
}

TEST(MemoryBudgetTest, TellsACallWithoutRoomToComeAgain) {
  TestServer server(WithBudget(kBudget));
  auto stalled = Stall(server, kStrangers);
  const grpc::Status status = server.StatusOf(RequestWith());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ErrorInfoOf(status).reason(), "OVERLOADED");
  EXPECT_GT(RetryInfoOf(status).retry_delay().nanos(), 0);
  EXPECT_EQ(ErrorInfoOf(status).metadata().at("memory_budget_bytes"),
            std::to_string(kBudget));
  EndAll(stalled);
  EXPECT_EQ(server.ComputeLoss(RequestWith()).row_count(), 2);
}

TEST(MemoryBudgetTest, GivesRoomToACallThatWaits) {
  TestServer server(WithBudget(kBudget));
  auto stalled = Stall(server, kStrangers);
  std::thread caller(
      [&] { EXPECT_EQ(server.ComputeLoss(RequestWith()).row_count(), 2); });
  WaitFor([&] { return server.server().calls_waiting() == 1; });
  EndAll(stalled);
  caller.join();
}

TEST(MemoryBudgetTest, ForgetsACallThatIsGoneWhileItWaits) {
  TestServer server(WithBudget(kBudget));
  auto stalled = Stall(server, kStrangers);
  RawCall waiting(Connect(server.server().addresses()[0]), kComputeLoss);
  WaitFor([&] { return server.server().calls_waiting() == 1; });
  waiting.context().TryCancel();
  EXPECT_EQ(waiting.Finish().error_code(), grpc::StatusCode::CANCELLED);
  WaitFor([&] { return server.server().calls_waiting() == 0; });
  EndAll(stalled);
  WaitFor([&] { return server.server().reserved_bytes() == 0; });
}

TEST(MemoryBudgetTest, HasRoomForSmallCallsThatSaySo) {
  TestServer server(WithBudget(kBudget));
  auto stalled = Stall(server, kStrangers);
  const v1::ComputeLossRequest request = RequestWith();
  grpc::ClientContext context;
  context.AddMetadata("lossd-request-bytes",
                      std::to_string(request.ByteSizeLong()));
  v1::ComputeLossResponse response;
  EXPECT_TRUE(server.stub().ComputeLoss(&context, request, &response).ok());
  EndAll(stalled);
}

TEST(MemoryBudgetTest, HasRoomForCallersKnownForSmallCalls) {
  TestServer server(WithBudget(kBudget));
  EXPECT_EQ(server.ComputeLoss(RequestWith()).row_count(), 2);
  auto stalled = Stall(server, kStrangers);
  EXPECT_EQ(server.ComputeLoss(RequestWith()).row_count(), 2);
  EndAll(stalled);
}

TEST(MemoryBudgetTest, EndsACallThatSendsNothingWhileOthersWait) {
  Options options = WithBudget(kBudget);
  options.receive_patience = std::chrono::milliseconds(20);
  TestServer server(options);
  auto stalled = Stall(server, kStrangers);
  EXPECT_EQ(server.ComputeLoss(RequestWith()).row_count(), 2);
  int refused = 0;
  for (const auto& call : stalled) {
    call->HalfClose();
    const grpc::Status status = call->Finish();
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
      EXPECT_EQ(ErrorInfoOf(status).reason(), "SENT_TOO_SLOWLY");
      ++refused;
    }
  }
  EXPECT_GE(refused, 1);
  stalled.clear();
  WaitFor([&] { return server.server().reserved_bytes() == 0; });
}

// Streams that stand still, one before its first message and one that does not
// take its answers, while another call waits for their memory.
TEST(MemoryBudgetTest, EndsAStreamThatSendsNothingWhileOthersWait) {
  Options options = WithBudget(16 * kMiB);
  options.receive_patience = std::chrono::milliseconds(20);
  TestServer server(options);
  grpc::ClientContext context;
  const auto stream = server.stub().StreamLoss(&context);
  WaitFor([&] { return server.server().reserved_bytes() > 0; });
  EXPECT_EQ(ComputedWithRetries(server, LargeRequest(2)).row_count(), 512);
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ErrorInfoOf(status).reason(), "SENT_TOO_SLOWLY");
  WaitFor([&] { return server.server().reserved_bytes() == 0; });
}

TEST(MemoryBudgetTest, EndsAStreamWhoseAnswersNobodyReadsWhileOthersWait) {
  Options options = WithBudget(16 * kMiB);
  options.receive_patience = std::chrono::milliseconds(20);
  TestServer server(options);
  grpc::ClientContext context;
  const auto stream = server.stub().StreamLoss(&context);
  v1::StreamLossRequest message;
  *message.mutable_header() = LargeRequest(8);
  const std::string raw = message.header().logits().raw();
  message.mutable_header()->mutable_logits()->clear_contents();
  ASSERT_TRUE(stream->Write(message));
  // Until the writes block, or fail as the stream has ended.
  std::thread writer([&] {
    for (size_t at = 0; at < raw.size(); at += 2 * kMiB) {
      message.mutable_chunk()->set_raw(raw.substr(at, 2 * kMiB));
      if (!stream->Write(message)) return;
    }
  });
  WaitFor([&] { return server.server().reserved_bytes() > 12 * kMiB; });
  EXPECT_EQ(ComputedWithRetries(server, LargeRequest(2)).row_count(), 512);
  writer.join();
  v1::StreamLossResponse response;
  while (stream->Read(&response)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  WaitFor([&] { return server.server().reserved_bytes() == 0; });
}

TEST(MemoryBudgetTest, IsSharedByManyCallersWhoRetry) {
  TestServer server(WithBudget(16 * kMiB));
  const v1::ComputeLossRequest request = LargeRequest(3);
  constexpr int kCallers = 8;
  constexpr int kCalls = 10;
  std::atomic<int> computed = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.emplace_back([&] {
      const auto stub =
          v1::LossService::NewStub(Connect(server.server().addresses()[0]));
      for (int call = 0; call < kCalls;) {
        grpc::ClientContext context;
        v1::ComputeLossResponse response;
        const grpc::Status status =
            stub->ComputeLoss(&context, request, &response);
        if (status.ok()) {
          ++computed;
          ++call;
        } else {
          ASSERT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE)
              << status.error_message();
        }
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(computed, kCallers * kCalls);
  WaitFor([&] { return server.server().reserved_bytes() == 0; });
}

// Messages far over what gRPC's own quota holds make it look for memory to take
// back, while others' messages are computed and freed.
TEST(MemoryBudgetTest, OutlivesMessagesFarBeyondIt) {
  TestServer server(WithBudget(16 * kMiB));
  std::atomic<bool> is_over = false;
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&] {
      const v1::ComputeLossRequest request = LargeRequest(40);
      while (!is_over) {
        const auto stub =
            v1::LossService::NewStub(Connect(server.server().addresses()[0]));
        grpc::ClientContext context;
        v1::ComputeLossResponse response;
        EXPECT_THAT(
            stub->ComputeLoss(&context, request, &response).error_code(),
            AnyOf(grpc::StatusCode::RESOURCE_EXHAUSTED,
                  grpc::StatusCode::UNAVAILABLE));
      }
    });
  }
  const v1::ComputeLossRequest request = LargeRequest(3);
  for (int call = 0; call < 100; ++call) {
    grpc::ClientContext context;
    v1::ComputeLossResponse response;
    server.stub().ComputeLoss(&context, request, &response);
  }
  is_over = true;
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(server.ComputeLoss(RequestWith()).row_count(), 2);
  WaitFor([&] { return server.server().reserved_bytes() == 0; });
}

}  // namespace
}  // namespace lossd::rpc
