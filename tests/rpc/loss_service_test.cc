#include "server/rpc/loss_service.h"

#include <gtest/gtest.h>

#include "server/rpc/errors.h"
#include "tests/rpc/requests.h"

namespace lossd::rpc {
namespace {

class LossServiceTest : public testing::Test {
 protected:
  compute::ThreadPool pool_{2};
  const LossService service_{Options(), pool_};
};

TEST_F(LossServiceTest, StopsBetweenBlocksWhenTheCallerIsGone) {
  std::atomic<int> asked{0};
  const auto response = service_.ComputeLoss(
      Received(ZerosRequest(4096, 256)),
      [&] { return ++asked < 3 ? absl::OkStatus() : CallerCancelled(); });
  EXPECT_EQ(response.status().code(), absl::StatusCode::kCancelled);
  EXPECT_GE(asked.load(), 3);
}

TEST_F(LossServiceTest, StopsBetweenBlocksWhenTheDeadlinePasses) {
  std::atomic<int> asked{0};
  const auto response = service_.ComputeLoss(
      Received(ZerosRequest(4096, 256)),
      [&] { return ++asked < 3 ? absl::OkStatus() : DeadlinePassed(); });
  EXPECT_EQ(response.status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(LossServiceTest, EmptiesTheRequestOnceParsed) {
  grpc::Slice slice(RequestWith().SerializeAsString());
  grpc::ByteBuffer request(&slice, 1);
  const auto response =
      service_.Run(0, request, [] { return absl::OkStatus(); });
  EXPECT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(request.Length(), 0u);
}

}  // namespace
}  // namespace lossd::rpc
