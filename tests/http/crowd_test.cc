// Callers that hold calls up, and go away.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tests/http/http_caller.h"
#include "tests/http/raw_connection.h"

namespace lossd::http {
namespace {

using ::testing::HasSubstr;

constexpr char kBatch[] = R"({"logits":[[2,1,0.1]],"labels":[0]})";

std::string HeadersOf(size_t body_bytes) {
  return "POST /v1/loss:compute HTTP/1.1\r\nHost: localhost\r\n"
         "Content-Type: application/json\r\nContent-Length: " +
         std::to_string(body_bytes) + "\r\n\r\n";
}

// Waits until so many calls of the API are under way: until one more is
// refused, or not.
void AwaitRefusals(HttpCaller& caller, bool want) {
  while ((caller.Compute(kBatch).status == 503) != want) {
  }
}

TEST(CrowdTest, CallsThatAreHeldUpLeaveAThreadForOthers) {
  const Limits limits{.threads = 3, .patience = std::chrono::seconds(30)};
  HttpCaller caller(rpc::TestOptions(), limits);
  std::vector<std::unique_ptr<RawConnection>> held;
  for (int i = 0; i < limits.threads - 1; ++i) {
    held.push_back(std::make_unique<RawConnection>(caller.address()));
    held.back()->Send(HeadersOf(sizeof(kBatch) - 1));
  }
  AwaitRefusals(caller, true);
  const HttpAnswer refused = caller.Compute(kBatch);
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.reason(), "TOO_MANY_HTTP_CALLS");
  EXPECT_EQ(refused.header("Retry-After"), "1");
  EXPECT_EQ(caller.Get("/healthz").status, 200);
  EXPECT_EQ(caller.Get("/metrics").status, 200);
  // They are served when their bodies come.
  for (const auto& connection : held) {
    connection->Send(kBatch);
    EXPECT_THAT(connection->ReceiveAll(), HasSubstr(" 200 "));
  }
  AwaitRefusals(caller, false);
}

TEST(CrowdTest, ABodyThatDoesNotComeIsNotWaitedForLong) {
  HttpCaller caller(rpc::TestOptions(),
                    {.patience = std::chrono::milliseconds(50)});
  RawConnection slow(caller.address());
  slow.Send(HeadersOf(100) + "{");
  const std::string answer = slow.ReceiveAll();
  EXPECT_THAT(answer, HasSubstr(" 408 "));
  EXPECT_THAT(answer, HasSubstr("1 of the body's 100 bytes"));
}

TEST(CrowdTest, HeadersWithoutEndAreRefused) {
  HttpCaller caller(rpc::TestOptions(), {.header_bytes = 1000});
  RawConnection connection(caller.address());
  std::string headers = "GET /healthz HTTP/1.1\r\n";
  while (headers.size() <= 1000) headers += "X-More: x\r\n";
  connection.Send(headers);
  EXPECT_THAT(connection.ReceiveAll(), HasSubstr(" 431 "));
}

// The server's one budget is full, so that the call waits for its memory; its
// caller is gone before that has an end.
TEST(CrowdTest, ACallWhoseCallerGoesAwayIsCancelled) {
  rpc::Options options = rpc::TestOptions();
  options.memory_budget_bytes = rpc::kSmallestMemoryBudgetBytes;
  HttpCaller caller(options);
  rpc::Server& server = caller.grpc().server();
  const auto is_cancelled = [&] {
    const std::string key = "code=\"CANCELLED\",method=\"ComputeLoss\"} ";
    const std::string metrics = server.MetricsText();
    const size_t at = metrics.find(key);
    return at != metrics.npos && metrics[at + key.size()] != '0';
  };
  // All but what the API itself takes for the body.
  const int64_t taken =
      options.memory_budget_bytes - 10 * int64_t{sizeof(kBatch)};
  ASSERT_TRUE(server.admission().TryEnter(rpc::Admission::kSmallBytes));
  ASSERT_TRUE(server.admission().Resize(rpc::Admission::kSmallBytes, taken));
  do {
    {
      RawConnection gone(caller.address());
      gone.Send(HeadersOf(sizeof(kBatch) - 1) + kBatch);
      while (server.calls_waiting() == 0) {
      }
    }
    // Until all of it has ended: a call that had waited long enough by itself
    // is followed by another one.
    while (server.calls_in_flight() > 0 ||
           server.admission().reserved_bytes() != taken) {
    }
  } while (!is_cancelled());
  server.admission().Leave(taken);
}

}  // namespace
}  // namespace lossd::http
