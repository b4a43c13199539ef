// lossd's HTTP: where it listens, and what it says of the server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <signal.h>

#include <algorithm>
#include <string>

#include "tests/e2e/lossd_process.h"
#include "tests/e2e/requests.h"
#include "tests/e2e/wire.h"

namespace lossd {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;

int StatusOf(const std::string& address, const std::string& path) {
  const auto result = httplib::Client("http://" + address).Get(path);
  return result ? result->status : -1;
}

TEST(HttpTest, ListensWhereItSaysAfterGrpcDoes) {
  LossdProcess lossd(
      {"--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"});
  EXPECT_THAT(lossd.WaitForAddress(), Not(IsEmpty()));
  const std::string address = lossd.WaitForHttpAddress();
  EXPECT_THAT(address, MatchesRegex("127\\.0\\.0\\.1:[1-9][0-9]+"));
  EXPECT_EQ(StatusOf(address, "/healthz"), 200);
  EXPECT_EQ(StatusOf(address, "/readyz"), 200);
}

TEST(HttpTest, IsOffUnlessAskedFor) {
  LossdProcess lossd({"--listen", "127.0.0.1:0"});
  ASSERT_THAT(lossd.WaitForAddress(), Not(IsEmpty()));
  lossd.Signal(SIGTERM);
  EXPECT_EQ(lossd.WaitForExit(), 0);
  EXPECT_THAT(lossd.Stdout(), Not(HasSubstr("http")));
}

TEST(HttpTest, IsNotReadyDuringADrainButAlive) {
  LossdProcess lossd({"--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
                      "--lame-duck-seconds", "3600"});
  const std::string address = lossd.WaitForHttpAddress();
  EXPECT_EQ(StatusOf(address, "/readyz"), 200);
  lossd.Signal(SIGTERM);
  while (StatusOf(address, "/readyz") == 200) {
  }
  EXPECT_EQ(StatusOf(address, "/readyz"), 503);
  EXPECT_EQ(StatusOf(address, "/healthz"), 200);
  lossd.Signal(SIGTERM);
  EXPECT_EQ(lossd.WaitForExit(), 0);
}

TEST(HttpTest, RefusesATakenPortAndServesNothing) {
  LossdProcess first({"--listen", "127.0.0.1:0"});
  const std::string taken = first.WaitForAddress();
  const Outcome second =
      RunToEnd({"--listen", "127.0.0.1:0", "--http-listen", taken});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_THAT(second.out, IsEmpty());
  EXPECT_EQ(second.err,
            "lossd: cannot listen on " + taken + ": address already in use\n");
}

TEST(HttpTest, RefusesBadAddressesInOneLine) {
  for (const std::string bad :
       {"nonsense", "127.0.0.1:65536", "0.0.0.0:0", "unix:/socket"}) {
    const Outcome outcome = RunToEnd(
        {"--http-listen", bad, "--listen", "unix:/no/such/dir/socket"});
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1);
    EXPECT_THAT(outcome.err, HasSubstr(bad));
  }
}

}  // namespace
}  // namespace lossd
