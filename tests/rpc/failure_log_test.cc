#include "server/rpc/failure_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace lossd::rpc {
namespace {

using ::testing::Optional;

constexpr char kTraceparent[] =
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

// kTraceparent with `text` in place of what is at `at`.
std::string With(size_t at, const std::string& text) {
  return std::string(kTraceparent).replace(at, text.size(), text);
}

TEST(LineLimitTest, LetsTenLinesThroughInASecondAndCountsTheRest) {
  LineLimit limit;
  const LineLimit::Clock::time_point start(std::chrono::hours(1));
  const auto last = start + std::chrono::milliseconds(999);
  for (int i = 0; i < LineLimit::kLinesPerSecond; ++i) {
    EXPECT_THAT(limit.Take(i == 0 ? start : last), Optional(0));
  }
  EXPECT_EQ(limit.Take(last), std::nullopt);
  EXPECT_EQ(limit.Take(last), std::nullopt);
  const auto next = start + std::chrono::seconds(1);
  EXPECT_THAT(limit.Take(next), Optional(2));
  EXPECT_THAT(limit.Take(next), Optional(0));
}

TEST(FailureLogTest, WantsWhatIsTheServersMatter) {
  EXPECT_TRUE(FailureLog::Wants(absl::StatusCode::kInternal));
  EXPECT_TRUE(FailureLog::Wants(absl::StatusCode::kResourceExhausted));
  EXPECT_TRUE(FailureLog::Wants(absl::StatusCode::kUnavailable));
  EXPECT_FALSE(FailureLog::Wants(absl::StatusCode::kOk));
  EXPECT_FALSE(FailureLog::Wants(absl::StatusCode::kInvalidArgument));
  EXPECT_FALSE(FailureLog::Wants(absl::StatusCode::kCancelled));
}

TEST(TraceparentTest, IsTakenAsW3CHasIt) {
  EXPECT_TRUE(IsTraceparent(kTraceparent));
  EXPECT_TRUE(IsTraceparent(With(53, "ff")));
  // Later versions may go on.
  EXPECT_TRUE(IsTraceparent(With(0, "01")));
  EXPECT_TRUE(IsTraceparent(With(0, "01") + "-more"));
}

TEST(TraceparentTest, IsIgnoredWhereMalformed) {
  for (const std::string& bad :
       {std::string(), std::string(kTraceparent, 54),
        kTraceparent + std::string("0"), kTraceparent + std::string("-more"),
        With(0, "01") + "more", With(0, "ff"), With(0, "0g"), With(3, "A"),
        With(2, "_"), With(35, "_"), With(52, "_"),
        With(3, std::string(32, '0')), With(36, std::string(16, '0')),
        With(53, "0 ")}) {
    EXPECT_FALSE(IsTraceparent(bad)) << bad;
  }
}

TEST(RequestIdTest, IsOneWordOfAtMost128Characters) {
  EXPECT_TRUE(IsRequestId("a"));
  EXPECT_TRUE(IsRequestId(std::string(128, '~')));
  EXPECT_FALSE(IsRequestId(std::string(129, '~')));
  EXPECT_FALSE(IsRequestId(""));
  EXPECT_FALSE(IsRequestId("a b"));
  EXPECT_FALSE(IsRequestId("a\x7f"));
}

TEST(RequestIdTest, IsAnotherOneForEveryCall) {
  std::set<std::string> ids;
  for (int i = 0; i < 100; ++i) {
    ids.insert(NewRequestId());
    EXPECT_TRUE(IsRequestId(*ids.begin()));
    EXPECT_EQ(ids.begin()->size(), 16U);
  }
  EXPECT_EQ(ids.size(), 100U);
}

}  // namespace
}  // namespace lossd::rpc
