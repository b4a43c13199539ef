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

// Enough rows for several blocks, whatever a block is.
v1::ComputeLossRequest LargeRequest() {
  constexpr int64_t kRows = 4096;
  constexpr int64_t kClasses = 256;
  v1::ComputeLossRequest request;
  v1::Tensor& logits = *request.mutable_logits();
  logits.set_data_type(v1::DATA_TYPE_FLOAT32);
  logits.add_shape(kRows);
  logits.add_shape(kClasses);
  logits.set_raw(std::string(kRows * kClasses * sizeof(float), '\0'));
  v1::Tensor& labels = *request.mutable_labels();
  labels.set_data_type(v1::DATA_TYPE_INT32);
  labels.add_shape(kRows);
  labels.set_raw(std::string(kRows * sizeof(int32_t), '\0'));
  return request;
}

TEST_F(LossServiceTest, StopsBetweenBlocksWhenTheCallerIsGone) {
  std::atomic<int> asked{0};
  const auto response = service_.ComputeLoss(LargeRequest(), [&] {
    return ++asked < 3 ? absl::OkStatus() : CallerCancelled();
  });
  EXPECT_EQ(response.status().code(), absl::StatusCode::kCancelled);
  EXPECT_GE(asked.load(), 3);
}

TEST_F(LossServiceTest, StopsBetweenBlocksWhenTheDeadlinePasses) {
  std::atomic<int> asked{0};
  const auto response = service_.ComputeLoss(LargeRequest(), [&] {
    return ++asked < 3 ? absl::OkStatus() : DeadlinePassed();
  });
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
