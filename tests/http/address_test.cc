#include "server/http/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace lossd::http {
namespace {

using ::testing::HasSubstr;

std::string Refusal(const std::string& text) {
  const auto address = ParseAddress(text);
  EXPECT_FALSE(address.ok()) << text;
  return std::string(address.status().message());
}

TEST(HttpAddressTest, HasHostAndPort) {
  const struct {
    std::string text;
    std::string host;
    int port;
  } kCases[] = {{"127.0.0.1:8080", "127.0.0.1", 8080},
                {"127.255.255.255:0", "127.255.255.255", 0},
                {"localhost:65535", "localhost", 65535},
                {"[::1]:80", "::1", 80},
                {"0.0.0.0:80", "0.0.0.0", 80}};
  for (const auto& good : kCases) {
    const auto address = ParseAddress(good.text);
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(address->host, good.host);
    EXPECT_EQ(address->port, good.port);
  }
}

TEST(HttpAddressTest, IsRefusedWhereMalformed) {
  for (const std::string bad :
       {"", "8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
        "127.0.0.1:-1", "127.0.0.1:x", "::1:80", "unix:/socket"}) {
    EXPECT_THAT(Refusal(bad),
                HasSubstr("http_listen = " + bad +
                          ", want HOST:PORT, PORT in [0, 65535]"));
  }
}

TEST(HttpAddressTest, IsTakenOnTheLoopback) {
  for (const std::string good :
       {"127.0.0.1:80", "127.255.255.255:0", "localhost:1", "[::1]:80"}) {
    EXPECT_TRUE(CheckExposure(good, false).ok()) << good;
  }
}

TEST(HttpAddressTest, IsRefusedOffTheLoopbackUnlessAllowed) {
  for (const std::string bad :
       {"0.0.0.0:80", "126.255.255.255:80", "128.0.0.0:80", "[::]:80",
        "[::2]:80", "example.org:80"}) {
    const std::string refusal(CheckExposure(bad, false).message());
    EXPECT_THAT(refusal, HasSubstr("http_listen = " + bad + ", want HOST"));
    EXPECT_THAT(refusal, HasSubstr("loopback"));
    EXPECT_TRUE(CheckExposure(bad, true).ok());
  }
}

}  // namespace
}  // namespace lossd::http
