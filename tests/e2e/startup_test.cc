// How lossd starts, and how it says that it does not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "tests/e2e/lossd_process.h"
#include "tests/e2e/requests.h"
#include "tests/e2e/wire.h"

namespace lossd {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using Strings = LossdProcess::Strings;

// One line, ended.
MATCHER(IsOneLine, "") {
  return std::count(arg.begin(), arg.end(), '\n') == 1 && arg.back() == '\n';
}

// A directory that is gone with its files at the end.
class StartupTest : public testing::Test {
 protected:
  StartupTest() {
    std::string name = testing::TempDir() + "lossd-XXXXXX";
    directory_ = mkdtemp(name.data());
  }
  ~StartupTest() override {
    for (const char* name : {"/socket", "/config"}) {
      unlink((directory_ + name).c_str());
    }
    rmdir(directory_.c_str());
  }

  std::string SocketPath() const { return directory_ + "/socket"; }
  std::string WriteConfig(const std::string& text) const {
    std::ofstream(directory_ + "/config") << text;
    return directory_ + "/config";
  }

 private:
  std::string directory_;
};

int64_t MaxRequestBytesOf(LossdProcess& lossd) {
  const WireResult result = CallRaw(Connect(lossd.WaitForAddress()),
                                    "/lossd.v1.LossService/GetServerInfo", "");
  v1::GetServerInfoResponse info;
  EXPECT_TRUE(result.status.ok() && info.ParseFromString(result.response));
  return info.max_request_bytes();
}

TEST_F(StartupTest, PrintsTheAddressWithThePortThatWasPicked) {
  LossdProcess lossd({"--listen", "127.0.0.1:0"});
  const std::string address = lossd.WaitForAddress();
  EXPECT_THAT(address, MatchesRegex("127\\.0\\.0\\.1:[1-9][0-9]+"));
  EXPECT_TRUE(ComputeLoss(Connect(address), MakeRequest(2, 3)).status.ok());
}

TEST_F(StartupTest, ListensOnEveryAddressGiven) {
  const std::string socket = "unix:" + SocketPath();
  LossdProcess lossd({"--listen", "127.0.0.1:0", "--listen", socket, "--listen",
                      "127.0.0.1:0"});
  const std::string first = lossd.WaitForAddress();
  EXPECT_EQ(lossd.WaitForAddress(), socket);
  const std::string third = lossd.WaitForAddress();
  EXPECT_NE(first, third);
  for (const std::string& address : {first, socket, third}) {
    EXPECT_TRUE(ComputeLoss(Connect(address), MakeRequest(2, 3)).status.ok())
        << address;
  }
}

TEST_F(StartupTest, RefusesATakenPort) {
  LossdProcess first({"--listen", "127.0.0.1:0"});
  const std::string address = first.WaitForAddress();
  const Outcome second = RunToEnd({"--listen", address});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_THAT(second.out, IsEmpty());
  EXPECT_THAT(second.err, IsOneLine());
  EXPECT_THAT(second.err, HasSubstr("cannot listen on " + address));
  EXPECT_THAT(second.err, HasSubstr("in use"));
}

TEST_F(StartupTest, StartsNothingWhenOneOfTwoPortsIsTaken) {
  LossdProcess first({"--listen", "127.0.0.1:0"});
  const std::string taken = first.WaitForAddress();
  const Outcome second =
      RunToEnd({"--listen", "127.0.0.1:0", "--listen", taken});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_THAT(second.out, IsEmpty());
  EXPECT_THAT(second.err, IsOneLine());
  EXPECT_THAT(second.err, HasSubstr(taken));
}

TEST_F(StartupTest, RefusesASocketThatALossdServes) {
  const std::string address = "unix:" + SocketPath();
  LossdProcess first({"--listen", address});
  ASSERT_EQ(first.WaitForAddress(), address);
  const Outcome second = RunToEnd({"--listen", address});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_THAT(second.err, IsOneLine());
  EXPECT_THAT(second.err, HasSubstr(address));
  EXPECT_TRUE(ComputeLoss(Connect(address), MakeRequest(2, 3)).status.ok());
}

TEST_F(StartupTest, TakesOverTheSocketFileOfAKilledLossd) {
  const std::string address = "unix:" + SocketPath();
  LossdProcess first({"--listen", address});
  ASSERT_EQ(first.WaitForAddress(), address);
  first.Signal(SIGKILL);
  ASSERT_EQ(first.WaitForExit(), -SIGKILL);
  LossdProcess second({"--listen", address});
  EXPECT_EQ(second.WaitForAddress(), address);
  EXPECT_TRUE(ComputeLoss(Connect(address), MakeRequest(2, 3)).status.ok());
}

TEST_F(StartupTest, RefusesADirectoryThatIsNotThere) {
  const Outcome outcome = RunToEnd({"--listen", "unix:/no/such/dir/socket"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.out, IsEmpty());
  EXPECT_THAT(outcome.err, IsOneLine());
  EXPECT_THAT(outcome.err, HasSubstr("unix:/no/such/dir/socket"));
}

TEST_F(StartupTest, RefusesBadFlagsInOneLineThatNamesThem) {
  const struct {
    Strings arguments;
    std::string named;
  } kCases[] = {
      {{"--no-such-flag"}, "--no-such-flag"},
      {{"stray"}, "stray"},
      {{"--threads"}, "--threads"},
      {{"--threads", "two"}, "two"},
      {{"--threads", "-1"}, "-1"},
      {{"--threads", "1.5"}, "1.5"},
      {{"--threads", "100000"}, "100000"},
      {{"--max-request-bytes", "0"}, "--max-request-bytes"},
      {{"--max-request-bytes", "99999999999999999999"}, "--max-request-bytes"},
      {{"--memory-budget-bytes", "-5"}, "-5"},
      {{"--drain-seconds", "-1"}, "--drain-seconds"},
      {{"--drain-seconds", ""}, "--drain-seconds"},
      {{"--listen", "nonsense"}, "nonsense"},
      {{"--listen", "127.0.0.1:70000"}, "70000"},
      {{"--listen", "unix:"}, "unix:"},
      {{"--listen", ""}, "--listen"},
      {{"--config", "/no/such/file"}, "/no/such/file"},
      {{"--listen", "0.0.0.0:0"}, "0.0.0.0:0"},
      {{"--listen", "0.0.0.0:0"}, "--allow-insecure"},
      {{"--tls-key", "k"}, "tls_certificate"},
      {{"--tls-certificate", "c"}, "tls_key"},
      {{"--tls-client-ca", "a"}, "tls_certificate"},
      {{"--channelz", "--authorization-policy", "p"}, "channelz"},
  };
  for (const auto& bad : kCases) {
    SCOPED_TRACE(testing::PrintToString(bad.arguments));
    Strings arguments = bad.arguments;
    // Ends the test at once if the bad flag is taken after all.
    arguments.insert(arguments.end(), {"--listen", "unix:/no/such/dir/s"});
    const Outcome outcome = RunToEnd(arguments);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_THAT(outcome.err, IsOneLine());
    EXPECT_THAT(outcome.err, HasSubstr(bad.named));
  }
}

TEST_F(StartupTest, RefusesFilesThatItCannotUseInOneLineThatNamesThem) {
  const std::string empty = WriteConfig("");
  const struct {
    Strings arguments;
    std::string named;
  } kCases[] = {
      {{"--tls-certificate", "/no/such/c", "--tls-key", empty}, "/no/such/c"},
      {{"--tls-certificate", empty, "--tls-key", empty}, empty},
      {{"--authorization-policy", "/no/such/p"}, "/no/such/p"},
      {{"--authorization-policy", empty}, empty},
  };
  for (const auto& bad : kCases) {
    SCOPED_TRACE(testing::PrintToString(bad.arguments));
    const Outcome outcome = RunToEnd(bad.arguments);
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_THAT(outcome.err, IsOneLine());
    EXPECT_THAT(outcome.err, HasSubstr(bad.named));
  }
}

TEST_F(StartupTest, ListensForOtherMachinesWhenItMay) {
  LossdProcess lossd({"--listen", "0.0.0.0:0", "--allow-insecure"});
  const std::string address = lossd.WaitForAddress();
  EXPECT_TRUE(
      ComputeLoss(Connect("127.0.0.1" + address.substr(address.rfind(':'))),
                  MakeRequest(2, 3))
          .status.ok());
}

TEST_F(StartupTest, RefusesBadEnvironmentValues) {
  for (const char* bad : {"LOSSD_THREADS=two", "LOSSD_MAX_REQUEST_BYTES=-1",
                          "LOSSD_LISTEN=nonsense"}) {
    SCOPED_TRACE(bad);
    const Outcome outcome = RunToEnd({}, {bad});
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_THAT(outcome.err, IsOneLine());
    const std::string value =
        std::string(bad).substr(std::string(bad).find('=') + 1);
    EXPECT_THAT(outcome.err, HasSubstr(value));
  }
}

TEST_F(StartupTest, RefusesBadConfigFiles) {
  const struct {
    std::string text;
    std::string named;
  } kCases[] = {
      {"no-such-key = 1\n", "no-such-key"},
      {"threads = two\n", "two"},
      {"threads = 1\nmax-request-bytes = 0\n", "max-request-bytes"},
      {"[section]\nthreads = 1\n", "section"},
  };
  for (const auto& bad : kCases) {
    SCOPED_TRACE(bad.text);
    const Outcome outcome = RunToEnd(
        {"--config", WriteConfig(bad.text), "--listen", "unix:/no/such/dir/s"});
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_THAT(outcome.err, IsOneLine());
    EXPECT_THAT(outcome.err, HasSubstr(bad.named));
  }
}

TEST_F(StartupTest, TakesFlagsBeforeTheEnvironmentBeforeTheFile) {
  const std::string config = WriteConfig("max-request-bytes = 3000000\n");
  const Strings file_only = {"--listen", "127.0.0.1:0", "--config", config};
  Strings with_flag = file_only;
  with_flag.insert(with_flag.end(), {"--max-request-bytes", "1000000"});
  const Strings environment = {"LOSSD_MAX_REQUEST_BYTES=2000000"};
  LossdProcess all(with_flag, environment);
  EXPECT_EQ(MaxRequestBytesOf(all), 1000000);
  LossdProcess two(file_only, environment);
  EXPECT_EQ(MaxRequestBytesOf(two), 2000000);
  LossdProcess one(file_only);
  EXPECT_EQ(MaxRequestBytesOf(one), 3000000);
}

TEST_F(StartupTest, HelpNamesEveryFlag) {
  const Outcome help = RunToEnd({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const char* flag :
       {"--listen", "--threads", "--max-request-bytes", "--memory-budget-bytes",
        "--drain-seconds", "--config"}) {
    EXPECT_THAT(help.out, HasSubstr(flag));
  }
  EXPECT_THAT(help.err, IsEmpty());
}

}  // namespace
}  // namespace lossd
