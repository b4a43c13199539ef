// lossctl as a script sees it: exit codes, stdout, stderr.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/process.h"

namespace lossd::lossctl {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ProcessResult;
using testing::RunProcess;
using testing::ServerProcess;
using ::testing::StartsWith;

// Nothing listens on port 1.
constexpr char kNowhere[] = "127.0.0.1:1";

ProcessResult Lossctl(const std::string& target,
                      const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {LOSSCTL_BINARY, "--target", target};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return RunProcess(all);
}

TEST(LossctlTest, ShowsWhatTheServerIs) {
  const ServerProcess server(LOSSD_BINARY);
  const ProcessResult text = Lossctl(server.target(), {"info"});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_THAT(text.out, HasSubstr("losses           softmax_cross_entropy"));
  EXPECT_THAT(text.err, IsEmpty());
  const ProcessResult json = Lossctl(server.target(), {"info", "--json"});
  EXPECT_EQ(json.exit_code, 0);
  const auto info = nlohmann::json::parse(json.out);
  EXPECT_EQ(info["losses"][0], "softmax_cross_entropy");
  EXPECT_GE(info["compute_threads"], 1);
}

TEST(LossctlTest, TellsHealthByItsExitCode) {
  const ServerProcess server(LOSSD_BINARY);
  ProcessResult result = Lossctl(server.target(), {"health"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, "SERVING\n");
  result = Lossctl(server.target(),
                   {"health", "--json", "--service", "lossd.v1.LossService"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(nlohmann::json::parse(result.out)["status"], "SERVING");
  result = Lossctl(server.target(), {"health", "--service", "nobody"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, StartsWith("lossctl: NOT_FOUND"));
}

TEST(LossctlTest, ReachesAUnixSocket) {
  const testing::TestDirectory directory;
  const ServerProcess server(LOSSD_BINARY, "unix:" + directory.Path("socket"));
  EXPECT_EQ(Lossctl("unix:" + directory.Path("socket"), {"health"}).exit_code,
            0);
}

TEST(LossctlTest, FindsAServerKilledAndStartedAgain) {
  ServerProcess first(LOSSD_BINARY);
  const std::string target = first.target();
  first.Kill();
  EXPECT_EQ(Lossctl(target, {"health"}).exit_code, 1);
  const ServerProcess second(LOSSD_BINARY, target);
  EXPECT_EQ(Lossctl(target, {"health"}).exit_code, 0);
}

TEST(LossctlTest, FailsWithAClearMessageWhenNobodyListens) {
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{
           {"info"},
           {"health"},
           {"check-gradient"},
           {"explain", "--logits", "1,2", "--label", "0"}}) {
    const ProcessResult result = Lossctl(kNowhere, command);
    EXPECT_EQ(result.exit_code, 1) << command[0];
    EXPECT_THAT(result.err, StartsWith("lossctl: UNAVAILABLE: "));
    EXPECT_THAT(result.err, HasSubstr(kNowhere));
  }
}

TEST(LossctlTest, PrintsAnErrorAsJsonToo) {
  const ProcessResult result = Lossctl(kNowhere, {"info", "--json"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(nlohmann::json::parse(result.out)["error"]["code"], "UNAVAILABLE");
}

TEST(LossctlTest, ExplainsASample) {
  const ServerProcess server(LOSSD_BINARY);
  const ProcessResult result = Lossctl(
      server.target(), {"explain", "--logits", "2,1,0.1", "--label", "0"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("loss = -ln 0.659001 = 0.41703"));
  EXPECT_THAT(result.out, HasSubstr("= P_i - [i = y]"));
  EXPECT_THAT(result.out, HasSubstr("they agree"));
}

TEST(LossctlTest, ExplainsASampleAsJson) {
  const ServerProcess server(LOSSD_BINARY);
  const ProcessResult result =
      Lossctl(server.target(),
              {"explain", "--logits", "-2,1,0.1", "--label", "0", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_NEAR(json["service"]["loss"], 3.3759379253345310, 1e-14);
  EXPECT_NEAR(json["service"]["gradient"][0], -0.965813960682196, 1e-14);
  EXPECT_NEAR(json["central_differences"][0], -0.965813960682196, 1e-8);
  EXPECT_EQ(json["agrees"], true);
}

TEST(LossctlTest, ExplainRefusesWhatItCannotDerive) {
  const auto message = [](const std::string& logits, const std::string& label) {
    const ProcessResult result =
        Lossctl(kNowhere, {"explain", "--logits", logits, "--label", label});
    EXPECT_EQ(result.exit_code, 2);
    return result.err;
  };
  EXPECT_EQ(message("1,2,3", "3"), "lossctl: --label = 3, want [0, 3)\n");
  EXPECT_EQ(message("1,2,3", "-1"), "lossctl: --label = -1, want [0, 3)\n");
  EXPECT_THAT(message("1,two", "0"), HasSubstr("element 1 is \"two\""));
  EXPECT_THAT(message("1,nan", "0"), HasSubstr("element 1 is \"nan\""));
  EXPECT_THAT(message("300.5", "0"), HasSubstr("want a number in [-300, 300]"));
}

TEST(LossctlTest, ChecksTheGradientForEveryReduction) {
  const ServerProcess server(LOSSD_BINARY);
  for (const char* reduction : {"mean", "sum", "none"}) {
    for (const char* ignore_index : {"-100", "2"}) {
      const ProcessResult result = Lossctl(
          server.target(),
          {"check-gradient", "--rows", "13", "--classes", "7", "--seed", "5",
           "--reduction", reduction, "--ignore-index", ignore_index});
      EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
      EXPECT_THAT(result.out, HasSubstr("PASS"));
    }
  }
}

TEST(LossctlTest, ReportsTheGradientCheckAsJson) {
  const ServerProcess server(LOSSD_BINARY);
  const ProcessResult result =
      Lossctl(server.target(), {"check-gradient", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["verdict"], "PASS");
  EXPECT_GT(json["worst_absolute_error"], 0.0);
  EXPECT_LT(json["worst_absolute_error"], json["tolerance"]);
}

TEST(LossctlTest, EndsWithTwoOnBadUsage) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{
           {},
           {"dance"},
           {"info", "--dance"},
           {"info", "--timeout", "0"},
           {"info", "--timeout", "soon"},
           {"explain", "--label", "0"},
           {"compute", "--logits", "x.npy"},
           {"check-gradient", "--rows", "0"},
           {"check-gradient", "--rows", "100000", "--classes", "100000"},
           {"check-gradient", "--reduction", "median"}}) {
    const ProcessResult result = Lossctl(kNowhere, arguments);
    EXPECT_EQ(result.exit_code, 2) << ::testing::PrintToString(arguments);
    EXPECT_NE(result.err, "");
    EXPECT_EQ(result.out, "");
  }
}

// Bounds, at them and one past, and what is no plain number.
TEST(LossctlTest, SaysUnitAndRangeOfABadTimeout) {
  for (const char* text :
       {"0.00099", "1000001", "1s", "", "nan", "inf", "-1"}) {
    const ProcessResult result = Lossctl(kNowhere, {"info", "--timeout", text});
    EXPECT_EQ(result.exit_code, 2) << text;
    EXPECT_THAT(result.err,
                StartsWith(std::string("--timeout: \"") + text +
                           "\", want a number of seconds in [0.001, 1000000], "
                           "without a unit\n"));
    EXPECT_LT(result.err.size(), 200);
  }
  // Nobody listens: the flag was taken.
  for (const char* text : {"0.001", "1000000", "2.5"}) {
    EXPECT_EQ(Lossctl(kNowhere, {"health", "--timeout", text}).exit_code, 1);
  }
}

TEST(LossctlTest, NamesASubcommandThatThereIsNot) {
  EXPECT_THAT(Lossctl(kNowhere, {"dance"}).err, HasSubstr("dance"));
  EXPECT_THAT(Lossctl(kNowhere, {}).err, HasSubstr("A subcommand is required"));
}

TEST(LossctlTest, HelpsWithZero) {
  const ProcessResult result = RunProcess({LOSSCTL_BINARY, "--help"});
  EXPECT_EQ(result.exit_code, 0);
  for (const char* command :
       {"compute", "explain", "check-gradient", "hvp", "info", "health",
        "bench", "LOSSD_TARGET", "--timeout", "--json"}) {
    EXPECT_THAT(result.out, HasSubstr(command));
  }
}

}  // namespace
}  // namespace lossd::lossctl
