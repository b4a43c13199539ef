#include "server/http/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tests/http/raw_connection.h"

namespace lossd::http {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

std::unique_ptr<HttpServer> Listening(const Limits& limits = {}) {
  auto server = HttpServer::Listen("127.0.0.1:0", limits);
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

class HttpServerTest : public testing::Test {
 protected:
  explicit HttpServerTest(const Limits& limits = {})
      : server_(Listening(limits)), client_("http://" + server_->address()) {
    server_->Serve({.metrics = [] { return "metric 1\n"; },
                    .is_ready = [this] { return is_ready_.load(); }});
  }

  int StatusOf(const std::string& path) {
    const auto result = client_.Get(path);
    return result ? result->status : -1;
  }

  std::atomic<bool> is_ready_ = true;
  const std::unique_ptr<HttpServer> server_;
  httplib::Client client_;
};

TEST_F(HttpServerTest, NamesThePortThatWasPicked) {
  EXPECT_THAT(server_->address(), MatchesRegex("127\\.0\\.0\\.1:[1-9][0-9]+"));
}

TEST_F(HttpServerTest, ServesMetrics) {
  const auto result = client_.Get("/metrics");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->body, "metric 1\n");
  EXPECT_EQ(result->get_header_value("Content-Type"),
            "text/plain; version=0.0.4");
}

TEST_F(HttpServerTest, IsReadyWhileItsServerIsAndHealthyAnyway) {
  EXPECT_EQ(StatusOf("/readyz"), 200);
  is_ready_ = false;
  const auto result = client_.Get("/readyz");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 503);
  EXPECT_EQ(result->body, "not serving\n");
  EXPECT_EQ(StatusOf("/healthz"), 200);
}

TEST_F(HttpServerTest, KnowsNoOtherPath) {
  EXPECT_EQ(StatusOf("/other"), 404);
  EXPECT_EQ(StatusOf("/metrics/x"), 404);
  EXPECT_EQ(StatusOf("/../metrics"), 404);
}

TEST_F(HttpServerTest, TakesNoBodyWithAPage) {
  const auto result =
      client_.Post("/metrics", std::string(4 << 20, 'x'), "text/plain");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 405);
}

TEST_F(HttpServerTest, AnswersNonsenseAndGoesOn) {
  RawConnection nonsense(server_->address());
  nonsense.Send(std::string("\0\xff\r\n\r\n", 6));
  EXPECT_THAT(nonsense.ReceiveAll(), HasSubstr(" 400 "));
  EXPECT_EQ(StatusOf("/healthz"), 200);
}

TEST_F(HttpServerTest, RefusesATakenPort) {
  const auto second = HttpServer::Listen(server_->address());
  EXPECT_EQ(
      second.status().message(),
      "cannot listen on " + server_->address() + ": address already in use");
}

TEST(HttpListenTest, KeepsConnectionsUntilItServes) {
  const auto server = Listening();
  RawConnection early(server->address());
  early.Send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  server->Serve({[] { return ""; }, [] { return true; }});
  EXPECT_THAT(early.ReceiveAll(), HasSubstr(" 200 "));
}

TEST(HttpListenTest, RefusesAnAddressThatIsNotHere) {
  // Of a network for documents (RFC 5737).
  EXPECT_EQ(HttpServer::Listen("192.0.2.1:0").status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(HttpServer::Listen("nonsense").status().code(),
            absl::StatusCode::kInvalidArgument);
}

class SmallRequestsTest : public HttpServerTest {
 protected:
  static constexpr size_t kRequestBytes = 100;
  SmallRequestsTest() : HttpServerTest({.header_bytes = kRequestBytes}) {}

  // What a request of so many bytes is answered.
  std::string AnswerTo(size_t bytes) {
    const std::string start = "GET /healthz HTTP/1.1\r\nX-Long: ";
    const std::string end = "\r\n\r\n";
    RawConnection connection(server_->address());
    connection.Send(start +
                    std::string(bytes - start.size() - end.size(), 'x') + end);
    return connection.ReceiveAll();
  }
};

TEST_F(SmallRequestsTest, AreAnsweredAtTheLimitAndNotOneByteLater) {
  EXPECT_THAT(AnswerTo(kRequestBytes), HasSubstr(" 200 "));
  EXPECT_THAT(AnswerTo(kRequestBytes + 1), Not(HasSubstr(" 200 ")));
  EXPECT_THAT(AnswerTo(kRequestBytes), HasSubstr(" 200 "));
}

// One thread, three connections, and 50 ms for each.
class SlowClientsTest : public HttpServerTest {
 protected:
  SlowClientsTest()
      : HttpServerTest({.threads = 1,
                        .connections = 3,
                        .patience = std::chrono::milliseconds(50)}) {}
};

TEST_F(SlowClientsTest, AreLeftBehindWhenTheySendNothing) {
  std::vector<std::unique_ptr<RawConnection>> silent;
  for (int i = 0; i < 5; ++i) {
    silent.push_back(std::make_unique<RawConnection>(server_->address()));
  }
  EXPECT_EQ(StatusOf("/healthz"), 200);
}

TEST_F(SlowClientsTest, AreCutOffHoweverManyBytesTheySend) {
  RawConnection slow(server_->address());
  slow.Send("GET /healthz HTTP/1.1\r\nX-Slow: ");
  slow.ReceiveAll(/*trickle=*/"x");
  EXPECT_EQ(StatusOf("/healthz"), 200);
}

}  // namespace
}  // namespace lossd::http
