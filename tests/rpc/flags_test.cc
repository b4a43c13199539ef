#include "server/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "server/compute/kernel.h"

namespace lossd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class FlagsTest : public testing::Test {
 protected:
  ~FlagsTest() override {
    for (const std::string& name : set_) unsetenv(name.c_str());
    for (const std::string& file : files_) std::remove(file.c_str());
  }

  void SetEnvironment(const std::string& name, const std::string& value) {
    setenv(name.c_str(), value.c_str(), 1);
    set_.push_back(name);
  }

  std::string WriteConfig(const std::string& text) {
    std::string name = testing::TempDir() + "lossd_config_XXXXXX";
    close(mkstemp(name.data()));
    std::ofstream(name) << text;
    files_.push_back(name);
    return name;
  }

  static Flags Parse(const std::vector<std::string>& arguments) {
    std::vector<const char*> argv = {"lossd"};
    for (const std::string& argument : arguments) {
      argv.push_back(argument.c_str());
    }
    return ParseFlags(static_cast<int>(argv.size()), argv.data());
  }

  // Parses what must be refused with one line, and returns it.
  static std::string Refusal(const std::vector<std::string>& arguments) {
    testing::internal::CaptureStderr();
    const Flags flags = Parse(arguments);
    std::string line = testing::internal::GetCapturedStderr();
    EXPECT_EQ(flags.exit_code, 2) << line;
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
    EXPECT_THAT(line, StartsWith("lossd: "));
    return line;
  }

  // As Refusal, of a config file.
  std::string ConfigRefusal(const std::string& text) {
    return Refusal({"--config", WriteConfig(text)});
  }

  std::vector<std::string> set_;
  std::vector<std::string> files_;
};

TEST_F(FlagsTest, HaveDefaults) {
  const Flags flags = Parse({});
  EXPECT_EQ(flags.exit_code, std::nullopt);
  EXPECT_THAT(flags.options.listen, ElementsAre("127.0.0.1:50051"));
  EXPECT_EQ(flags.options.compute_threads, 0);
  EXPECT_EQ(flags.options.max_request_bytes, 256 << 20);
  EXPECT_EQ(flags.options.memory_budget_bytes, 0);
  EXPECT_EQ(flags.options.drain, std::chrono::seconds(30));
  EXPECT_EQ(flags.options.lame_duck, std::chrono::seconds(0));
  EXPECT_TRUE(flags.options.reflection);
  EXPECT_EQ(flags.http_listen, "");
  EXPECT_EQ(flags.log_format, rpc::LogFormat::kText);
  EXPECT_FALSE(flags.options.channelz);
  EXPECT_FALSE(flags.options.allow_insecure);
  EXPECT_EQ(flags.options.tls.certificate, "");
  EXPECT_EQ(flags.options.tls.reload, std::chrono::seconds(60));
  EXPECT_EQ(flags.options.authorization_policy, "");
  EXPECT_EQ(flags.options.authorization_reload, std::chrono::seconds(60));
}

TEST_F(FlagsTest, ReadWhoIsLetIn) {
  const Flags flags =
      Parse({"--allow-insecure", "--tls-certificate", "c.pem", "--tls-key",
             "k.pem", "--tls-client-ca", "a.pem", "--tls-reload-seconds", "2",
             "--authorization-policy", "p.json",
             "--authorization-reload-seconds", "3"});
  ASSERT_EQ(flags.exit_code, std::nullopt);
  EXPECT_TRUE(flags.options.allow_insecure);
  EXPECT_EQ(flags.options.tls.certificate, "c.pem");
  EXPECT_EQ(flags.options.tls.key, "k.pem");
  EXPECT_EQ(flags.options.tls.client_ca, "a.pem");
  EXPECT_EQ(flags.options.tls.reload, std::chrono::seconds(2));
  EXPECT_EQ(flags.options.authorization_policy, "p.json");
  EXPECT_EQ(flags.options.authorization_reload, std::chrono::seconds(3));
  EXPECT_TRUE(Parse({"--channelz"}).options.channelz);
  EXPECT_FALSE(Parse({"--no-channelz"}).options.channelz);
  // gRPC would answer for it whatever the policy says.
  EXPECT_THAT(Refusal({"--channelz", "--authorization-policy", "p.json"}),
              HasSubstr("channelz = true"));
}

TEST_F(FlagsTest, ReadWhoIsLetInFromTheEnvironment) {
  SetEnvironment("LOSSD_LISTEN", "0.0.0.0:0");
  SetEnvironment("LOSSD_ALLOW_INSECURE", "true");
  SetEnvironment("LOSSD_CHANNELZ", "true");
  SetEnvironment("LOSSD_TLS_CERTIFICATE", "c.pem");
  SetEnvironment("LOSSD_TLS_KEY", "k.pem");
  const Flags flags = Parse({});
  ASSERT_EQ(flags.exit_code, std::nullopt);
  EXPECT_TRUE(flags.options.allow_insecure);
  EXPECT_TRUE(flags.options.channelz);
  EXPECT_EQ(flags.options.tls.certificate, "c.pem");
  EXPECT_EQ(flags.options.tls.key, "k.pem");
}

TEST_F(FlagsTest, RefusePlaintextWhereOthersReadAlong) {
  const std::string line =
      Refusal({"--listen", "127.0.0.1:0", "--listen", "0.0.0.0:1"});
  for (const char* part :
       {"listen = 0.0.0.0:1", "--tls-certificate", "--allow-insecure"}) {
    EXPECT_THAT(line, HasSubstr(part));
  }
  Refusal({"--listen", "[::]:1"});
  Refusal({"--listen", "0.0.0.0:1", "--no-allow-insecure"});
  for (const std::vector<std::string>& allowed :
       std::vector<std::vector<std::string>>{
           {"--listen", "0.0.0.0:1", "--allow-insecure"},
           {"--listen", "0.0.0.0:1", "--tls-certificate", "c", "--tls-key",
            "k"},
           {"--listen", "127.0.0.1:1", "--listen", "unix:/x"}}) {
    EXPECT_EQ(Parse(allowed).exit_code, std::nullopt)
        << testing::PrintToString(allowed);
  }
}

TEST_F(FlagsTest, RefuseHalvesOfTls) {
  EXPECT_THAT(Refusal({"--tls-certificate", "c"}), HasSubstr("tls_key"));
  EXPECT_THAT(Refusal({"--tls-key", "k"}), HasSubstr("tls_certificate"));
  EXPECT_THAT(Refusal({"--tls-client-ca", "a"}), HasSubstr("tls_certificate"));
}

TEST_F(FlagsTest, ReadTheCommandLine) {
  const Flags flags = Parse({"--listen",
                             "127.0.0.1:0",
                             "--listen=unix:/x",
                             "--threads",
                             "3",
                             "--max-request-bytes",
                             "1000",
                             "--memory-budget-bytes",
                             "20000000",
                             "--receive-seconds",
                             "7",
                             "--drain-seconds",
                             "4",
                             "--lame-duck-seconds",
                             "5",
                             "--no-reflection",
                             "--http-listen",
                             "127.0.0.1:0",
                             "--log-format",
                             "json"});
  ASSERT_EQ(flags.exit_code, std::nullopt);
  EXPECT_THAT(flags.options.listen, ElementsAre("127.0.0.1:0", "unix:/x"));
  EXPECT_EQ(flags.options.compute_threads, 3);
  EXPECT_EQ(flags.options.max_request_bytes, 1000);
  EXPECT_EQ(flags.options.memory_budget_bytes, 20000000);
  EXPECT_EQ(flags.options.receive_patience, std::chrono::seconds(7));
  EXPECT_EQ(flags.options.drain, std::chrono::seconds(4));
  EXPECT_EQ(flags.options.lame_duck, std::chrono::seconds(5));
  EXPECT_FALSE(flags.options.reflection);
  EXPECT_EQ(flags.http_listen, "127.0.0.1:0");
  EXPECT_EQ(flags.log_format, rpc::LogFormat::kJson);
}

TEST_F(FlagsTest, ReadTheEnvironment) {
  SetEnvironment("LOSSD_LISTEN", "127.0.0.1:0,unix:/x");
  SetEnvironment("LOSSD_MAX_REQUEST_BYTES", "1000");
  SetEnvironment("LOSSD_REFLECTION", "false");
  SetEnvironment("LOSSD_HTTP_LISTEN", "[::1]:0");
  SetEnvironment("LOSSD_LOG_FORMAT", "json");
  const Flags flags = Parse({});
  ASSERT_EQ(flags.exit_code, std::nullopt);
  EXPECT_THAT(flags.options.listen, ElementsAre("127.0.0.1:0", "unix:/x"));
  EXPECT_EQ(flags.options.max_request_bytes, 1000);
  EXPECT_FALSE(flags.options.reflection);
  EXPECT_EQ(flags.http_listen, "[::1]:0");
  EXPECT_EQ(flags.log_format, rpc::LogFormat::kJson);
}

TEST_F(FlagsTest, ReadTheConfigFile) {
  const Flags flags = Parse({"--config", WriteConfig(R"(
# as an operator writes it
listen = ["127.0.0.1:0", "unix:/x"]
threads = 3
drain-seconds = 7
reflection = false
http-listen = "localhost:0"
log-format = "json"
)")});
  ASSERT_EQ(flags.exit_code, std::nullopt);
  EXPECT_THAT(flags.options.listen, ElementsAre("127.0.0.1:0", "unix:/x"));
  EXPECT_EQ(flags.options.compute_threads, 3);
  EXPECT_EQ(flags.options.drain, std::chrono::seconds(7));
  EXPECT_FALSE(flags.options.reflection);
  EXPECT_EQ(flags.http_listen, "localhost:0");
  EXPECT_EQ(flags.log_format, rpc::LogFormat::kJson);
}

TEST_F(FlagsTest, GoBeforeTheEnvironmentBeforeTheFileBeforeTheDefaults) {
  const std::string config =
      WriteConfig("threads = 3\ndrain-seconds = 3\nlame-duck-seconds = 3\n");
  SetEnvironment("LOSSD_CONFIG", config);
  SetEnvironment("LOSSD_THREADS", "2");
  SetEnvironment("LOSSD_DRAIN_SECONDS", "2");
  const Flags flags = Parse({"--threads", "1"});
  ASSERT_EQ(flags.exit_code, std::nullopt);
  EXPECT_EQ(flags.options.compute_threads, 1);
  EXPECT_EQ(flags.options.drain, std::chrono::seconds(2));
  EXPECT_EQ(flags.options.lame_duck, std::chrono::seconds(3));
  EXPECT_EQ(flags.options.max_request_bytes, 256 << 20);
}

TEST_F(FlagsTest, RefuseUnknownFlagsAndKeys) {
  EXPECT_THAT(Refusal({"--http-lisen", "x"}), HasSubstr("--http-lisen"));
  EXPECT_THAT(Refusal({"extra"}), HasSubstr("extra"));
  EXPECT_THAT(ConfigRefusal("thread = 3\n"), HasSubstr("\"thread\""));
  EXPECT_THAT(ConfigRefusal("[section]\nthreads = 3\n"),
              HasSubstr("\"section\""));
}

TEST_F(FlagsTest, RefuseAConfigFileThatIsNotThere) {
  EXPECT_THAT(Refusal({"--config", "/nowhere/lossd.toml"}),
              HasSubstr("/nowhere/lossd.toml"));
  SetEnvironment("LOSSD_CONFIG", "/nowhere/lossd.toml");
  EXPECT_THAT(Refusal({}), HasSubstr("/nowhere/lossd.toml"));
}

TEST_F(FlagsTest, RefuseBadValuesWhereverTheyComeFrom) {
  EXPECT_THAT(Refusal({"--threads", "many"}), HasSubstr("--threads"));
  EXPECT_THAT(Refusal({"--listen", "nowhere"}), HasSubstr("nowhere"));
  EXPECT_THAT(Refusal({"--listen"}), HasSubstr("--listen"));
  EXPECT_THAT(ConfigRefusal("threads = many\n"), HasSubstr("threads"));
  EXPECT_THAT(Refusal({"--http-listen", "nowhere"}), HasSubstr("nowhere"));
  EXPECT_THAT(Refusal({"--http-listen", "0.0.0.0:80"}), HasSubstr("loopback"));
  EXPECT_THAT(Refusal({"--log-format", "xml"}), HasSubstr("xml"));
  SetEnvironment("LOSSD_THREADS", "many");
  EXPECT_THAT(Refusal({}), HasSubstr("threads"));
}

TEST_F(FlagsTest, HoldAtTheirLimitsAndNotPastThem) {
  EXPECT_EQ(Parse({"--threads", "1024"}).exit_code, std::nullopt);
  Refusal({"--threads", "1025"});
  Refusal({"--threads", "-1"});
  EXPECT_EQ(Parse({"--max-request-bytes", "1"}).exit_code, std::nullopt);
  Refusal({"--max-request-bytes", "0"});
  EXPECT_EQ(Parse({"--max-request-bytes", "2147483647"}).exit_code,
            std::nullopt);
  Refusal({"--max-request-bytes", "2147483648"});
  EXPECT_EQ(Parse({"--drain-seconds", "86400"}).exit_code, std::nullopt);
  Refusal({"--drain-seconds", "86401"});
  Refusal({"--lame-duck-seconds", "86401"});
  Refusal({"--memory-budget-bytes", "-1"});
  EXPECT_EQ(Parse({"--memory-budget-bytes", "0"}).exit_code, std::nullopt);
  EXPECT_THAT(Refusal({"--memory-budget-bytes", "16777215"}),
              HasSubstr("0 or [16777216, 1125899906842624]"));
  EXPECT_EQ(Parse({"--memory-budget-bytes", "16777216"}).exit_code,
            std::nullopt);
  EXPECT_EQ(Parse({"--memory-budget-bytes", "1125899906842624"}).exit_code,
            std::nullopt);
  Refusal({"--memory-budget-bytes", "1125899906842625"});
  EXPECT_EQ(Parse({"--receive-seconds", "1"}).exit_code, std::nullopt);
  Refusal({"--receive-seconds", "0"});
  EXPECT_EQ(Parse({"--receive-seconds", "86400"}).exit_code, std::nullopt);
  Refusal({"--receive-seconds", "86401"});
  for (const std::string flag :
       {"--tls-reload-seconds", "--authorization-reload-seconds"}) {
    Refusal({flag, "0"});
    EXPECT_EQ(Parse({flag, "1"}).exit_code, std::nullopt);
    EXPECT_EQ(Parse({flag, "86400"}).exit_code, std::nullopt);
    Refusal({flag, "86401"});
  }
}

// What is printed for no flags, and for all of them from every source.
TEST_F(FlagsTest, PrintAConfigFileThatGivesThemselves) {
  const auto print = [](std::vector<std::string> arguments) {
    arguments.push_back("--print-config");
    testing::internal::CaptureStdout();
    EXPECT_EQ(Parse(arguments).exit_code, 0);
    return testing::internal::GetCapturedStdout();
  };
  const std::string defaults = print({});
  EXPECT_THAT(defaults, HasSubstr("listen=\"127.0.0.1:50051\"\n"));
  EXPECT_THAT(defaults, HasSubstr("reflection=true\n"));
  SetEnvironment("LOSSD_THREADS", "3");
  const std::string config = print({"--listen", "127.0.0.1:0", "--listen",
                                    "unix:/x", "--no-reflection", "--config",
                                    WriteConfig("max-request-bytes = 1000\n")});
  EXPECT_THAT(config, HasSubstr("threads=3\n"));
  unsetenv("LOSSD_THREADS");
  const std::string file = WriteConfig(config);
  EXPECT_EQ(print({"--config", file}), config);
  const Flags flags = Parse({"--config", file});
  EXPECT_THAT(flags.options.listen, ElementsAre("127.0.0.1:0", "unix:/x"));
  EXPECT_EQ(flags.options.compute_threads, 3);
  EXPECT_EQ(flags.options.max_request_bytes, 1000);
  EXPECT_FALSE(flags.options.reflection);
  EXPECT_THAT(print({"--config", WriteConfig(defaults)}), defaults);
}

TEST_F(FlagsTest, TakeAKernelOfThisMachineOnly) {
  const std::string kernel = compute::AvailableKernels().back();
  EXPECT_EQ(Parse({"--kernel", kernel}).options.kernel, kernel);
  EXPECT_EQ(Parse({}).options.kernel, "");
  EXPECT_THAT(Refusal({"--kernel", "AVX9"}),
              AllOf(HasSubstr("kernel = AVX9"), HasSubstr(kernel)));
}

TEST_F(FlagsTest, ExplainThemselves) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(Parse({"--help"}).exit_code, 0);
  const std::string help = testing::internal::GetCapturedStdout();
  for (const std::string word : {"--listen",
                                 "--threads",
                                 "--max-request-bytes",
                                 "268435456",
                                 "--memory-budget-bytes",
                                 "--receive-seconds",
                                 "--drain-seconds",
                                 "--lame-duck-seconds",
                                 "--no-reflection",
                                 "--no-channelz",
                                 "--kernel",
                                 "--allow-insecure",
                                 "--tls-certificate",
                                 "--tls-key",
                                 "--tls-client-ca",
                                 "--tls-reload-seconds",
                                 "--authorization-policy",
                                 "--authorization-reload-seconds",
                                 "--config",
                                 "LOSSD_THREADS",
                                 "--http-listen",
                                 "--log-format",
                                 "in seconds",
                                 "in bytes"}) {
    EXPECT_THAT(help, HasSubstr(word));
  }
  testing::internal::CaptureStdout();
  EXPECT_EQ(Parse({"--version"}).exit_code, 0);
  EXPECT_THAT(testing::internal::GetCapturedStdout(), StartsWith("lossd "));
}

}  // namespace
}  // namespace lossd
