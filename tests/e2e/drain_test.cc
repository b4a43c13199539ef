// SIGTERM: every call is answered or refused so that it can be retried.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/e2e/lossd_process.h"
#include "tests/e2e/requests.h"
#include "tests/e2e/wire.h"

namespace lossd {
namespace {

constexpr int kClients = 8;

// Clients that call without pause until they are refused.
class Clients {
 public:
  explicit Clients(const std::string& address) {
    for (int i = 0; i < kClients; ++i) {
      threads_.emplace_back([this, address] { CallUntilRefused(address); });
    }
  }
  ~Clients() { Join(); }

  void WaitForAnswers(int64_t count) {
    for (int64_t seen = answers_; seen < count; seen = answers_) {
      answers_.wait(seen);
    }
  }

  // Waits until every client was refused; returns the refusals.
  std::vector<WireResult> Join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    return refusals_;
  }

 private:
  void CallUntilRefused(const std::string& address) {
    const auto channel = Connect(address);
    const v1::ComputeLossRequest request = MakeRequest(64, 1000);
    WireResult result = ComputeLoss(channel, request);
    while (result.status.ok()) {
      answers_.fetch_add(1);
      answers_.notify_all();
      result = ComputeLoss(channel, request);
    }
    std::lock_guard lock(mutex_);
    refusals_.push_back(result);
    answers_.fetch_add(1'000'000);
    answers_.notify_all();
  }

  std::atomic<int64_t> answers_{0};
  std::mutex mutex_;
  std::vector<WireResult> refusals_;  // guarded by mutex_
  std::vector<std::thread> threads_;
};

class DrainTest : public testing::Test {
 protected:
  void Start(const LossdProcess::Strings& more) {
    LossdProcess::Strings arguments = {"--listen", "127.0.0.1:0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    lossd_ = std::make_unique<LossdProcess>(arguments);
    address_ = lossd_->WaitForAddress();
    channel_ = Connect(address_);
  }

  // A call whose message has not come yet; it is inside once calls made after
  // it on the same connection have been answered.
  std::unique_ptr<WireCall> HoldCall() {
    auto call = std::make_unique<WireCall>(channel_, kComputeLossPath);
    for (int i = 0; i < 20; ++i) {
      EXPECT_TRUE(ComputeLoss(channel_, MakeRequest(2, 3)).status.ok());
    }
    return call;
  }

  std::unique_ptr<LossdProcess> lossd_;
  std::string address_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(DrainTest, FinishesCallsInFlightAndRefusesNewOnesForARetry) {
  Start({"--drain-seconds", "60"});
  const std::unique_ptr<WireCall> held = HoldCall();
  Clients clients(address_);
  clients.WaitForAnswers(100);
  lossd_->Signal(SIGTERM);
  for (const WireResult& refusal : clients.Join()) {
    EXPECT_THAT(refusal, IsRefusal(grpc::UNAVAILABLE, "draining"));
  }
  const WireResult finished = held->Send(MakeRequest(2, 3).SerializeAsString());
  EXPECT_TRUE(finished.status.ok()) << finished.status.error_message();
  v1::ComputeLossResponse response;
  ASSERT_TRUE(response.ParseFromString(finished.response));
  EXPECT_EQ(response.row_count(), 2);
  EXPECT_EQ(lossd_->WaitForExit(), 0);
}

// Without a call to hold it, the server closes its connections while clients
// are still calling.
TEST_F(DrainTest, FailsNoCallOtherwiseThanByUnavailable) {
  Start({});
  Clients clients(address_);
  clients.WaitForAnswers(100);
  lossd_->Signal(SIGTERM);
  EXPECT_EQ(lossd_->WaitForExit(), 0);
  for (const WireResult& refusal : clients.Join()) {
    EXPECT_EQ(refusal.status.error_code(), grpc::UNAVAILABLE)
        << refusal.status.error_message();
  }
}

TEST_F(DrainTest, EndsAtOnceWhenIdle) {
  Start({"--drain-seconds", "1000"});
  ASSERT_TRUE(ComputeLoss(channel_, MakeRequest(2, 3)).status.ok());
  lossd_->Signal(SIGINT);
  EXPECT_EQ(lossd_->WaitForExit(), 0);
}

TEST_F(DrainTest, CancelsWhatIsLeftAfterDrainSeconds) {
  Start({"--drain-seconds", "1"});
  const std::unique_ptr<WireCall> held = HoldCall();
  lossd_->Signal(SIGTERM);
  EXPECT_EQ(lossd_->WaitForExit(), 0);
  EXPECT_EQ(held->WaitForEnd().status.error_code(), grpc::UNAVAILABLE);
}

TEST_F(DrainTest, IsForcedByASecondSignal) {
  Start({"--drain-seconds", "1000"});
  const std::unique_ptr<WireCall> held = HoldCall();
  Clients clients(address_);
  clients.WaitForAnswers(20);
  lossd_->Signal(SIGTERM);
  // Refusals show that the first signal was taken: a second one sent earlier
  // could be merged with it.
  clients.Join();
  lossd_->Signal(SIGTERM);
  EXPECT_EQ(lossd_->WaitForExit(), 0);
  EXPECT_EQ(held->WaitForEnd().status.error_code(), grpc::UNAVAILABLE);
}

TEST_F(DrainTest, ServesOnAsALameDuckWhileHealthSaysNotServing) {
  using Health = grpc::health::v1::Health;
  using grpc::health::v1::HealthCheckResponse;
  Start({"--lame-duck-seconds", "1000"});
  const auto stub = Health::NewStub(channel_);
  grpc::ClientContext context;
  const auto watch = stub->Watch(&context, {});
  HealthCheckResponse health;
  ASSERT_TRUE(watch->Read(&health));
  EXPECT_EQ(health.status(), HealthCheckResponse::SERVING);
  lossd_->Signal(SIGTERM);
  ASSERT_TRUE(watch->Read(&health));
  EXPECT_EQ(health.status(), HealthCheckResponse::NOT_SERVING);
  EXPECT_TRUE(ComputeLoss(channel_, MakeRequest(2, 3)).status.ok());
  lossd_->Signal(SIGTERM);
  EXPECT_EQ(lossd_->WaitForExit(), 0);
  EXPECT_FALSE(watch->Read(&health));
}

}  // namespace
}  // namespace lossd
