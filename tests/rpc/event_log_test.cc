#include "server/rpc/event_log.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace lossd::rpc {
namespace {

std::string Text(const std::string& value) {
  return FormatEvent(LogFormat::kText, "e", {{"key", value}});
}

TEST(EventLogTest, WritesAnEventAsText) {
  EXPECT_EQ(FormatEvent(LogFormat::kText, "listen",
                        {{"address", "127.0.0.1:1"}, {"threads", 2}}),
            "event=listen address=127.0.0.1:1 threads=2");
}

TEST(EventLogTest, QuotesTextThatWouldNotBeOneWord) {
  EXPECT_EQ(Text("a b"), R"(event=e key="a b")");
  EXPECT_EQ(Text(""), R"(event=e key="")");
  EXPECT_EQ(Text("a=b"), R"(event=e key="a=b")");
  EXPECT_EQ(Text("a\"b\\c"), R"(event=e key="a\"b\\c")");
  EXPECT_EQ(Text("x level=error\nevent=forged"),
            R"(event=e key="x level=error\nevent=forged")");
}

TEST(EventLogTest, WritesAnEventAsMembersOfAJsonObject) {
  EXPECT_EQ(FormatEvent(LogFormat::kJson, "listen",
                        {{"address", "127.0.0.1:1"}, {"threads", 2}}),
            R"("event":"listen","address":"127.0.0.1:1","threads":2)");
}

TEST(EventLogTest, EscapesWhateverStandsInAValue) {
  std::string all;
  for (int c = 1; c < 128; ++c) all.push_back(static_cast<char>(c));
  const auto json = nlohmann::json::parse(
      "{" + FormatEvent(LogFormat::kJson, "e", {{"key", all}}) + "}");
  EXPECT_EQ(json.at("key"), all);
}

TEST(EventLogTest, ReplacesBytesThatAreNoUtf8) {
  EXPECT_EQ(FormatEvent(LogFormat::kJson, "e", {{"key", "a\xff"}}),
            "\"event\":\"e\",\"key\":\"a\xEF\xBF\xBD\"");
}

}  // namespace
}  // namespace lossd::rpc
