// How a server stops. A call is kept in flight by not sending its message.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/rpc/requests.h"
#include "tests/rpc/test_server.h"

namespace lossd::rpc {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::Pair;
using Health = grpc::health::v1::HealthCheckResponse;

constexpr char kComputeLoss[] = "/lossd.v1.LossService/ComputeLoss";

// A call that the server has let in.
class CallInFlight {
 public:
  explicit CallInFlight(TestServer& server)
      : call_(server.channel(), kComputeLoss) {
    while (server.server().calls_in_flight() == 0) std::this_thread::yield();
  }
  RawCall* operator->() { return &call_; }

 private:
  RawCall call_;
};

// Waits until the server refuses calls and returns the refusal.
grpc::Status FirstRefusal(TestServer& server, grpc::ClientContext& context) {
  while (true) {
    grpc::ClientContext probe;
    v1::GetServerInfoResponse response;
    if (!server.stub().GetServerInfo(&probe, {}, &response).ok()) break;
  }
  v1::GetServerInfoResponse response;
  return server.stub().GetServerInfo(&context, {}, &response);
}

TEST(DrainTest, EndsAtOnceWithNothingInFlight) {
  TestServer server;
  EXPECT_TRUE(server.server().Drain());
}

TEST(DrainTest, FinishesWhatIsInFlightAndRefusesWhatIsNew) {
  TestServer server;
  CallInFlight call(server);
  auto drained =
      std::async(std::launch::async, [&] { return server.server().Drain(); });

  grpc::ClientContext context;
  const grpc::Status refusal = FirstRefusal(server, context);
  EXPECT_EQ(refusal.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ErrorInfoOf(refusal).reason(), "DRAINING");
  EXPECT_EQ(RetryInfoOf(refusal).retry_delay().nanos(), 200'000'000);
  EXPECT_THAT(context.GetServerTrailingMetadata(),
              Contains(Pair("grpc-retry-pushback-ms", "200")));
  EXPECT_EQ(server.Health(""), Health::NOT_SERVING);
  EXPECT_EQ(server.Health("lossd.v1.LossService"), Health::NOT_SERVING);
  // No reason to kill the process.
  EXPECT_EQ(server.Health("liveness"), Health::SERVING);

  EXPECT_TRUE(call->Send(RequestWith().SerializeAsString()));
  std::string bytes;
  EXPECT_TRUE(call->Receive(bytes));
  v1::ComputeLossResponse response;
  EXPECT_TRUE(response.ParseFromString(bytes));
  EXPECT_EQ(response.row_count(), 2);
  EXPECT_TRUE(call->Finish().ok());
  EXPECT_TRUE(drained.get());
}

TEST(DrainTest, ServesOnAsALameDuck) {
  Options options = TestOptions();
  options.lame_duck = std::chrono::seconds(600);
  TestServer server(options);
  std::atomic<bool> give_up{false};
  auto drained = std::async(std::launch::async, [&] {
    return server.server().Drain([&] { return give_up.load(); });
  });
  while (server.Health("") != Health::NOT_SERVING) {
  }
  EXPECT_EQ(server.ComputeLoss(RequestWith()).row_count(), 2);
  while (server.server().calls_in_flight() > 0) std::this_thread::yield();
  give_up = true;
  EXPECT_TRUE(drained.get());
}

TEST(DrainTest, LeavesTheRestToBeCancelledAtItsEnd) {
  Options options = TestOptions();
  options.drain = std::chrono::seconds(0);
  TestServer server(options);
  CallInFlight call(server);
  EXPECT_FALSE(server.server().Drain());
  server.Stop();
  EXPECT_THAT(
      call->Finish().error_code(),
      AnyOf(grpc::StatusCode::CANCELLED, grpc::StatusCode::UNAVAILABLE));
}

TEST(DrainTest, LeavesTheRestToBeCancelledWhenForced) {
  TestServer server;
  CallInFlight call(server);
  int asked = 0;
  EXPECT_FALSE(server.server().Drain([&] { return ++asked == 3; }));
  server.Stop();
  EXPECT_THAT(
      call->Finish().error_code(),
      AnyOf(grpc::StatusCode::CANCELLED, grpc::StatusCode::UNAVAILABLE));
}

// Callers that never pause: each call is served or told to go elsewhere.
TEST(DrainTest, EndsCallsUnderLoadWithOkOrUnavailable) {
  TestServer server;
  std::atomic<int> served{0};
  std::atomic<bool> stopped{false};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back(
        [&, channel = Connect(server.server().addresses()[0])] {
          const auto stub = v1::LossService::NewStub(channel);
          const v1::ComputeLossRequest request = RequestWith();
          while (!stopped) {
            grpc::ClientContext context;
            v1::ComputeLossResponse response;
            const grpc::Status status =
                stub->ComputeLoss(&context, request, &response);
            if (status.ok()) {
              ++served;
            } else {
              EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE)
                  << status.error_message();
            }
          }
        });
  }
  while (served < 100) std::this_thread::yield();
  EXPECT_TRUE(server.server().Drain());
  stopped = true;
  for (std::thread& caller : callers) caller.join();
}

TEST(DrainTest, LeavesThePortToTheNextServer) {
  Options options = TestOptions();
  {
    TestServer first(options);
    options.listen = first.server().addresses();
    EXPECT_TRUE(first.server().Drain());
  }
  TestServer second(options);
  EXPECT_EQ(second.Health(""), Health::SERVING);
}

TEST(DrainTest, IsNotNeededToStop) {
  TestServer server;
  CallInFlight call(server);
}

// gRPC may be done with calls that our pollers have yet to finish: when the
// queues were shut down at that moment, it aborted the process.
TEST(DrainTest, IsNotNeededToStopBesideManyCalls) {
  constexpr int kServers = 10;
  constexpr int kCalls = 64;
  for (int i = 0; i < kServers; ++i) {
    TestServer server;
    std::vector<std::unique_ptr<RawCall>> calls;
    for (int j = 0; j < kCalls; ++j) {
      calls.push_back(
          std::make_unique<RawCall>(server.channel(), kComputeLoss));
    }
    while (server.server().calls_in_flight() < kCalls) {
      std::this_thread::yield();
    }
    server.Stop();
    for (const auto& call : calls) {
      EXPECT_THAT(
          call->Finish().error_code(),
          AnyOf(grpc::StatusCode::CANCELLED, grpc::StatusCode::UNAVAILABLE));
    }
  }
}

}  // namespace
}  // namespace lossd::rpc
