#include <gtest/gtest.h>

#include <chrono>

#include "server/http/same_origin.h"
#include "server/http/timeout.h"

namespace lossd::http {
namespace {

using std::chrono::nanoseconds;

TEST(TimeoutTest, ReadsEveryUnit) {
  EXPECT_EQ(*ParseTimeout("1H"), std::chrono::hours(1));
  EXPECT_EQ(*ParseTimeout("2M"), std::chrono::minutes(2));
  EXPECT_EQ(*ParseTimeout("3S"), std::chrono::seconds(3));
  EXPECT_EQ(*ParseTimeout("500m"), std::chrono::milliseconds(500));
  EXPECT_EQ(*ParseTimeout("5u"), std::chrono::microseconds(5));
  EXPECT_EQ(*ParseTimeout("00000006n"), nanoseconds(6));
  EXPECT_EQ(*ParseTimeout(""), nanoseconds::max());
}

TEST(TimeoutTest, TakesEightDigitsAndNotNine) {
  EXPECT_EQ(*ParseTimeout("99999999S"), std::chrono::seconds(99'999'999));
  EXPECT_EQ(*ParseTimeout("99999999H"), nanoseconds::max());
  EXPECT_FALSE(ParseTimeout("100000000n").ok());
}

TEST(TimeoutTest, RefusesAnythingElse) {
  for (const char* bad : {"1", "m", "-1m", "1.5S", " 1S", "1S ", "1s", "x"}) {
    EXPECT_EQ(ParseTimeout(bad).status().code(),
              absl::StatusCode::kInvalidArgument)
        << bad;
  }
}

TEST(SameOriginTest, LetsProgramsAndOwnPagesIn) {
  for (const bool only_local : {true, false}) {
    for (const char* host : {"", "127.0.0.1:8080", "[::1]:8080", "localhost",
                             "LOCALHOST:1", "a.localhost:8080", "10.0.0.1"}) {
      EXPECT_TRUE(CheckSameOrigin(host, "", only_local).ok()) << host;
    }
    EXPECT_TRUE(
        CheckSameOrigin("localhost:8080", "http://localhost:8080", only_local)
            .ok());
    EXPECT_TRUE(
        CheckSameOrigin("[::1]:80", "https://[::1]:80", only_local).ok());
  }
  EXPECT_TRUE(CheckSameOrigin("lossd.example:80", "", false).ok());
}

TEST(SameOriginTest, KeepsOtherPagesOut) {
  for (const bool only_local : {true, false}) {
    for (const char* origin :
         {"null", "http://evil.example", "http://localhost",
          "http://localhost:8081", "http://localhost:8080.evil.example"}) {
      EXPECT_EQ(CheckSameOrigin("localhost:8080", origin, only_local).code(),
                absl::StatusCode::kPermissionDenied)
          << origin;
    }
  }
  // A name that was made to point here.
  for (const char* host : {"evil.example", "localhost.evil.example:8080",
                           "127.0.0.1.evil.example", "xlocalhost", "[", "1"}) {
    EXPECT_EQ(CheckSameOrigin(host, "", true).code(),
              absl::StatusCode::kPermissionDenied)
        << host;
  }
}

}  // namespace
}  // namespace lossd::http
