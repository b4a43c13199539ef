// Health, reflection and the message limit, as outside tools meet them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/e2e/lossd_process.h"
#include "tests/e2e/requests.h"
#include "tests/e2e/wire.h"

namespace lossd {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using testing::HasSubstr;

grpc::Status CheckHealth(const std::shared_ptr<grpc::Channel>& channel,
                         const std::string& service,
                         HealthCheckResponse& response) {
  grpc::ClientContext context;
  HealthCheckRequest request;
  request.set_service(service);
  return Health::NewStub(channel)->Check(&context, request, &response);
}

TEST(HealthTest, ServesUnderItsNamesAndNoOther) {
  LossdProcess lossd({"--listen", "127.0.0.1:0"});
  const auto channel = Connect(lossd.WaitForAddress());
  for (const char* service : {"", "lossd.v1.LossService", "liveness"}) {
    HealthCheckResponse response;
    EXPECT_TRUE(CheckHealth(channel, service, response).ok());
    EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  }
  HealthCheckResponse response;
  EXPECT_EQ(CheckHealth(channel, "other", response).error_code(),
            grpc::NOT_FOUND);
}

constexpr char kReflectionPath[] =
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

// ServerReflectionRequests: list_services = "" (field 7), and
// file_containing_symbol = the service's name (field 4).
std::string ListServices() { return std::string("\x3a\0", 2); }
std::string FindService() {
  const std::string name = "lossd.v1.LossService";
  return std::string("\x22") + static_cast<char>(name.size()) + name;
}

TEST(ReflectionTest, ListsAndDescribesTheService) {
  LossdProcess lossd({"--listen", "127.0.0.1:0"});
  const auto channel = Connect(lossd.WaitForAddress());
  const WireResult list = CallRaw(channel, kReflectionPath, ListServices());
  EXPECT_THAT(list.response, HasSubstr("lossd.v1.LossService"));
  EXPECT_THAT(list.response, HasSubstr("grpc.health.v1.Health"));
  const WireResult file = CallRaw(channel, kReflectionPath, FindService());
  for (const char* part : {"ComputeLossRequest", "StreamLoss",
                           "ComputeHessianVectorProduct", "GetServerInfo"}) {
    EXPECT_THAT(file.response, HasSubstr(part));
  }
}

TEST(ReflectionTest, CanBeTurnedOff) {
  LossdProcess lossd({"--listen", "127.0.0.1:0", "--no-reflection"});
  const auto channel = Connect(lossd.WaitForAddress());
  const WireResult list = CallRaw(channel, kReflectionPath, ListServices());
  EXPECT_EQ(list.status.error_code(), grpc::UNIMPLEMENTED);
  EXPECT_TRUE(ComputeLoss(channel, MakeRequest(2, 3)).status.ok());
}

class LimitTest : public testing::Test {
 protected:
  static constexpr size_t kLimit = 20'000;

  // A valid request of exactly `bytes` bytes, filled up with an unknown field.
  static std::string RequestOf(size_t bytes) {
    std::string request = MakeRequest(8, 500).SerializeAsString();
    // Field 1000, length-delimited, a length of three bytes.
    const size_t fill = bytes - request.size() - 5;
    request += "\xc2\x3e";
    request += static_cast<char>(0x80 | (fill & 0x7f));
    request += static_cast<char>(0x80 | ((fill >> 7) & 0x7f));
    request += static_cast<char>(fill >> 14);
    request.append(fill, 'x');
    EXPECT_EQ(request.size(), bytes);
    return request;
  }

  LossdProcess lossd_{{"--listen", "127.0.0.1:0", "--max-request-bytes",
                       std::to_string(kLimit)}};
  std::shared_ptr<grpc::Channel> channel_ = Connect(lossd_.WaitForAddress());
};

TEST_F(LimitTest, TakesARequestOfTheLimit) {
  const WireResult result =
      CallRaw(channel_, kComputeLossPath, RequestOf(kLimit));
  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
}

TEST_F(LimitTest, RefusesOneByteMoreNamingBothNumbersAndTheWayOut) {
  const WireResult result =
      CallRaw(channel_, kComputeLossPath, RequestOf(kLimit + 1));
  EXPECT_THAT(result, IsRefusal(grpc::RESOURCE_EXHAUSTED, "20001"));
  EXPECT_THAT(result, IsRefusal(grpc::RESOURCE_EXHAUSTED, "20000"));
  EXPECT_THAT(result, IsRefusal(grpc::RESOURCE_EXHAUSTED, "StreamLoss"));
}

// Far over the limit, gRPC itself refuses: it took the message in first, and
// knows nothing of our details.
TEST_F(LimitTest, RefusesAHugeRequestAndGoesOn) {
  const WireResult result =
      CallRaw(channel_, kComputeLossPath, std::string(64 << 20, 'x'));
  EXPECT_EQ(result.status.error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(ComputeLoss(channel_, MakeRequest(2, 3)).status.ok());
}

}  // namespace
}  // namespace lossd
