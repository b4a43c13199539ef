// What policies say, and what is refused as one.
#include "server/rpc/authorization.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lossd::rpc {
namespace {

using ::testing::HasSubstr;

AuthorizationPolicy Parse(const std::string& json) {
  auto policy = AuthorizationPolicy::Parse(json);
  EXPECT_TRUE(policy.ok()) << policy.status();
  return policy.ok() ? *std::move(policy) : AuthorizationPolicy();
}

std::string Refusal(const std::string& json) {
  const auto policy = AuthorizationPolicy::Parse(json);
  EXPECT_EQ(policy.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(policy.status().message());
}

CallFacts Call(const char* path, std::vector<std::string> principals = {}) {
  return {.path = path, .principals = std::move(principals), .headers = {}};
}

TEST(TextPatternTest, IsATextAPrefixASuffixOrAnything) {
  EXPECT_TRUE(TextPattern("/a/b").Matches("/a/b"));
  EXPECT_FALSE(TextPattern("/a/b").Matches("/a/bc"));
  EXPECT_FALSE(TextPattern("/a/b").Matches("/A/b"));
  EXPECT_TRUE(TextPattern("/a/*").Matches("/a/"));
  EXPECT_FALSE(TextPattern("/a/*").Matches("/a"));
  EXPECT_TRUE(TextPattern("*/b").Matches("/a/b"));
  EXPECT_FALSE(TextPattern("*/b").Matches("b"));
  EXPECT_TRUE(TextPattern("*").Matches("x"));
  EXPECT_FALSE(TextPattern("*").Matches(""));
}

TEST(AuthorizationPolicyTest, LetsNobodyThroughWithoutAnAllowRuleThatMatches) {
  const AuthorizationPolicy policy = Parse(
      R"({"name": "p", "allow_rules": [
          {"name": "a", "request": {"paths": ["/s/A", "/s/B"]}},
          {"name": "c", "source": {"principals": ["x", "y*"]},
           "request": {"paths": ["/s/C"]}}]})");
  EXPECT_TRUE(policy.Allows(Call("/s/A")));
  EXPECT_TRUE(policy.Allows(Call("/s/B", {"x"})));
  EXPECT_FALSE(policy.Allows(Call("/s/C")));
  EXPECT_FALSE(policy.Allows(Call("/s/C", {"z"})));
  EXPECT_TRUE(policy.Allows(Call("/s/C", {"z", "yes"})));
  EXPECT_FALSE(policy.Allows(Call("/s/D", {"x"})));
}

TEST(AuthorizationPolicyTest, DeniesBeforeItAllows) {
  const AuthorizationPolicy policy = Parse(
      R"({"name": "p",
          "deny_rules": [{"name": "d", "source": {"principals": ["x"]}}],
          "allow_rules": [{"name": "everybody"}]})");
  EXPECT_TRUE(policy.Allows(Call("/s/A")));
  EXPECT_TRUE(policy.Allows(Call("/s/A", {"y"})));
  EXPECT_FALSE(policy.Allows(Call("/s/A", {"y", "x"})));
}

TEST(AuthorizationPolicyTest, KnowsOnlyCallersWithACertificateByAStar) {
  const AuthorizationPolicy policy = Parse(
      R"({"name": "p", "allow_rules": [
          {"name": "known", "source": {"principals": ["*"]}}]})");
  EXPECT_FALSE(policy.Allows(Call("/s/A")));
  EXPECT_FALSE(policy.Allows(Call("/s/A", {""})));
  EXPECT_TRUE(policy.Allows(Call("/s/A", {"x"})));
}

TEST(AuthorizationPolicyTest, WantsAllHeadersOfARuleAndOneValueOfEach) {
  const AuthorizationPolicy policy = Parse(
      R"({"name": "p", "allow_rules": [{"name": "h", "request": {"headers": [
          {"key": "A", "values": ["1", "2"]},
          {"key": "b", "values": ["*"]}]}}]})");
  CallFacts call = Call("/s/A");
  EXPECT_FALSE(policy.Allows(call));
  call.headers = {{"a", "2"}};
  EXPECT_FALSE(policy.Allows(call));
  call.headers = {{"a", "2"}, {"b", "x"}};
  EXPECT_TRUE(policy.Allows(call));
  call.headers = {{"a", "3"}, {"b", "x"}};
  EXPECT_FALSE(policy.Allows(call));
}

// What is not understood would not be enforced.
TEST(AuthorizationPolicyTest, RefusesWhatItDoesNotKnow) {
  const auto rule = [](const std::string& fields) {
    return R"({"name": "p", "allow_rules": [{"name": "r", )" + fields + "}]}";
  };
  const std::string rules = R"("allow_rules": [{"name": "r"}])";
  const struct {
    std::string json;
    std::string named;
  } kCases[] = {
      {"", "parse error"},
      {"[]", "policy: want an object"},
      {"{" + rules + "}", "policy.name: missing"},
      {R"({"name": "", )" + rules + "}", "policy.name: want a text"},
      {R"({"name": "p"})", "allow_rules: missing"},
      {R"({"name": "p", "allow_rules": []})", "allow_rules: want an array"},
      {R"({"name": "p", "allow_rules": [{}]})", "allow_rules[0].name: missing"},
      {R"({"name": "p", "rules": [], )" + rules + "}",
       "policy: unknown field \"rules\""},
      {R"({"name": "p", "name": "q", )" + rules + "}",
       "field \"name\" is there twice"},
      {rule(R"("sources": {})"), "allow_rules[0]: unknown field \"sources\""},
      {rule(R"("source": {"ips": ["x"]})"), "unknown field \"ips\""},
      {rule(R"("source": {"principals": "x"})"), "principals: want an array"},
      {rule(R"("source": {"principals": []})"), "principals: want an array"},
      {rule(R"("request": {"paths": [1]})"), "paths: want a text"},
      {rule(R"("request": {"methods": ["x"]})"), "unknown field \"methods\""},
      {rule(R"("request": {"headers": [{"key": "a"}]})"), "values: missing"},
      {rule(R"("request": {"headers": [{"values": ["a"]}]})"), "key: missing"},
      {rule(R"("request": {"headers": [{"key": ":path", "values": ["a"]}]})"),
       "\":path\" cannot be asked for"},
      {rule(R"("request": {"headers": [{"key": "Grpc-X", "values": ["a"]}]})"),
       "cannot be asked for"},
  };
  for (const auto& bad : kCases) {
    EXPECT_THAT(Refusal(bad.json), HasSubstr(bad.named)) << bad.json;
  }
}

}  // namespace
}  // namespace lossd::rpc
