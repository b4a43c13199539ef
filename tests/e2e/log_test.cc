// What lossd writes to stderr.
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "lossd/v1/loss_service.grpc.pb.h"
#include "tests/e2e/lossd_process.h"
#include "tests/e2e/requests.h"
#include "tests/e2e/wire.h"

namespace lossd {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

constexpr char kTraceparent[] =
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Runs a lossd that takes 100 bytes, has it refuse one call, and stops it.
// Returns its log.
std::vector<std::string> LogOfARefusal(const std::string& format,
                                       const std::string& request_id,
                                       const std::string& traceparent) {
  LossdProcess lossd({"--listen", "127.0.0.1:0", "--max-request-bytes", "100",
                      "--log-format", format});
  const auto stub = v1::LossService::NewStub(Connect(lossd.WaitForAddress()));
  grpc::ClientContext context;
  context.AddMetadata("x-request-id", request_id);
  context.AddMetadata("traceparent", traceparent);
  v1::ComputeLossResponse response;
  EXPECT_EQ(
      stub->ComputeLoss(&context, MakeRequest(32, 27), &response).error_code(),
      grpc::RESOURCE_EXHAUSTED);
  lossd.Signal(SIGTERM);
  EXPECT_EQ(lossd.WaitForExit(), 0);
  return Lines(lossd.Stderr());
}

TEST(LogTest, IsALineOfJsonPerEvent) {
  std::vector<std::string> events;
  for (const std::string& line :
       LogOfARefusal("json", "a\"b\\c", kTraceparent)) {
    const auto json = nlohmann::json::parse(line);
    events.push_back(json.at("event"));
    EXPECT_THAT(json.at("time").get<std::string>(),
                MatchesRegex("[-0-9]+T[:0-9]+\\.[0-9]+[-+][:0-9]+"));
    if (events.back() == "listen") {
      EXPECT_EQ(json.at("level"), "info");
      EXPECT_TRUE(json.at("threads").is_number());
    }
    if (events.back() != "call_failed") continue;
    EXPECT_EQ(json.at("level"), "warning");
    EXPECT_EQ(json.at("method"), "ComputeLoss");
    EXPECT_EQ(json.at("code"), "RESOURCE_EXHAUSTED");
    EXPECT_EQ(json.at("reason"), "REQUEST_TOO_LARGE");
    EXPECT_EQ(json.at("request_id"), "a\"b\\c");
    EXPECT_EQ(json.at("traceparent"), kTraceparent);
  }
  EXPECT_THAT(events, ElementsAre("listen", "call_failed", "drain", "drained"));
}

TEST(LogTest, IsALineOfTextPerEvent) {
  const auto lines = LogOfARefusal("text", "my-id", kTraceparent);
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_THAT(lines[0], HasSubstr(" level=info event=listen address="));
  EXPECT_THAT(lines[1],
              HasSubstr(std::string(" level=warning event=call_failed "
                                    "method=ComputeLoss "
                                    "code=RESOURCE_EXHAUSTED "
                                    "reason=REQUEST_TOO_LARGE "
                                    "request_id=my-id traceparent=") +
                        kTraceparent));
  // The call may not be gone yet.
  EXPECT_THAT(lines[2], HasSubstr(" level=info event=drain in_flight="));
  EXPECT_THAT(lines[3], HasSubstr(" level=info event=drained left=0"));
}

TEST(LogTest, LeavesOutAMalformedTraceparent) {
  const auto lines = LogOfARefusal("text", "my-id", "00-x event=forged");
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_THAT(lines[1], HasSubstr("event=call_failed"));
  EXPECT_THAT(lines[1], Not(HasSubstr("traceparent")));
  EXPECT_THAT(lines[1], Not(HasSubstr("forged")));
}

TEST(LogTest, SaysNothingOfCallsThatAreTheirCallersMatter) {
  LossdProcess lossd({"--listen", "127.0.0.1:0"});
  const auto channel = Connect(lossd.WaitForAddress());
  EXPECT_TRUE(ComputeLoss(channel, MakeRequest(2, 3)).status.ok());
  EXPECT_EQ(CallRaw(channel, kComputeLossPath, "\xff").status.error_code(),
            grpc::INVALID_ARGUMENT);
  lossd.Signal(SIGTERM);
  EXPECT_EQ(lossd.WaitForExit(), 0);
  EXPECT_THAT(lossd.Stderr(), Not(HasSubstr("call_failed")));
}

}  // namespace
}  // namespace lossd
