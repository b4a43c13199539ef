// lossctl against a lossd that speaks TLS.
#include <initializer_list>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/process.h"
#include "tests/support/certificates.h"

namespace lossd::lossctl {
namespace {

using ::testing::HasSubstr;
using testing::ProcessResult;
using testing::RunProcess;
using testing::ServerProcess;
using ::testing::StartsWith;
using Strings = std::vector<std::string>;

class LossctlTlsTest : public ::testing::Test {
 protected:
  LossctlTlsTest() {
    directory_.Write("ca.pem", authority_.certificate());
    directory_.Write("other.pem", other_authority_.certificate());
    WriteIdentity("server", "DNS:lossd.test,IP:127.0.0.1");
    WriteIdentity("client", "URI:spiffe://lossd.test/trainer");
  }

  void WriteIdentity(const std::string& name,
                     const std::string& alternative_names) const {
    const Identity identity = authority_.Issue(alternative_names);
    directory_.Write(name + ".pem", identity.certificate);
    directory_.Write(name + ".key", identity.key);
  }

  std::string Path(const std::string& name) const {
    return directory_.Path(name);
  }

  // The flags of a server that speaks TLS.
  Strings ServerFlags() const {
    return {"--tls-certificate", Path("server.pem"), "--tls-key",
            Path("server.key")};
  }
  Strings MutualFlags() const {
    Strings flags = ServerFlags();
    flags.insert(flags.end(), {"--tls-client-ca", Path("ca.pem")});
    return flags;
  }

  // lossctl with these variables ("NAME=value") and arguments.
  static ProcessResult Run(const Strings& environment, const Strings& arguments,
                           const std::string& target) {
    Strings all = {"/usr/bin/env"};
    all.insert(all.end(), environment.begin(), environment.end());
    all.insert(all.end(), {LOSSCTL_BINARY, "--target", target});
    all.insert(all.end(), arguments.begin(), arguments.end());
    return RunProcess(all);
  }

  const Authority authority_;
  const Authority other_authority_;
  const testing::TestDirectory directory_;
};

TEST_F(LossctlTlsTest, ReachesAServerWithEveryCommand) {
  const ServerProcess server(LOSSD_BINARY, "127.0.0.1:0", ServerFlags());
  for (const Strings& command : std::vector<Strings>{
           {"health"},
           {"info"},
           {"check-gradient"},
           {"explain", "--logits", "2,1,0.1", "--label", "0"},
           {"bench", "--max-seconds", "0.2", "--warm-up-seconds", "0"}}) {
    Strings arguments = {"--tls-ca", Path("ca.pem")};
    arguments.insert(arguments.end(), command.begin(), command.end());
    const ProcessResult result = Run({}, arguments, server.target());
    EXPECT_EQ(result.exit_code, 0) << command[0] << result.err;
  }
}

TEST_F(LossctlTlsTest, SaysWhyItDoesNotTrustAServer) {
  const ServerProcess server(LOSSD_BINARY, "127.0.0.1:0", ServerFlags());
  for (const Strings& flags :
       {Strings{"--tls-ca", Path("other.pem")},
        // Nobody whom the system trusts has signed for it.
        Strings{"--tls"}}) {
    Strings arguments = flags;
    arguments.emplace_back("health");
    const ProcessResult result = Run({}, arguments, server.target());
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.err, StartsWith("lossctl: UNAVAILABLE: "));
    EXPECT_THAT(result.err, HasSubstr("handshake failed"));
    EXPECT_THAT(result.err, HasSubstr(server.target()));
  }
}

TEST_F(LossctlTlsTest, TakesTheNameThatTheCertificateMustBear) {
  WriteIdentity("server", "DNS:lossd.test");
  const ServerProcess server(LOSSD_BINARY, "127.0.0.1:0", ServerFlags());
  const Strings trust = {"--tls-ca", Path("ca.pem"), "health"};
  EXPECT_EQ(Run({}, trust, server.target()).exit_code, 1);
  Strings named = trust;
  named.insert(named.end(), {"--tls-server-name", "lossd.test"});
  const ProcessResult result = Run({}, named, server.target());
  EXPECT_EQ(result.exit_code, 0) << result.err;
  named.back() = "other.test";
  EXPECT_EQ(Run({}, named, server.target()).exit_code, 1);
}

TEST_F(LossctlTlsTest, ShowsItsCertificateToAServerThatAsks) {
  const ServerProcess server(LOSSD_BINARY, "127.0.0.1:0", MutualFlags());
  const Strings trust = {"health", "--tls-ca", Path("ca.pem")};
  EXPECT_EQ(Run({}, trust, server.target()).exit_code, 1);
  Strings mutual = trust;
  mutual.insert(mutual.end(), {"--tls-certificate", Path("client.pem"),
                               "--tls-key", Path("client.key")});
  const ProcessResult result = Run({}, mutual, server.target());
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

// As in a container: the server's own variables are there, too.
TEST_F(LossctlTlsTest, ReadsTheEnvironment) {
  const ServerProcess server(LOSSD_BINARY, "127.0.0.1:0", MutualFlags());
  const Strings environment = {
      "LOSSD_TLS_CERTIFICATE=" + Path("server.pem"),
      "LOSSD_TLS_KEY=" + Path("server.key"),
      "LOSSD_TLS_CA=" + Path("ca.pem"),
      "LOSSD_TLS_CLIENT_CERTIFICATE=" + Path("client.pem"),
      "LOSSD_TLS_CLIENT_KEY=" + Path("client.key"),
      "LOSSD_TLS_SERVER_NAME=lossd.test",
  };
  const ProcessResult result = Run(environment, {"health"}, server.target());
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST_F(LossctlTlsTest, TrustsWhomTheSystemTrustsByItself) {
  const ServerProcess server(LOSSD_BINARY, "127.0.0.1:0", ServerFlags());
  const std::string roots =
      "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=" + Path("ca.pem");
  const ProcessResult result =
      Run({roots}, {"--tls", "health"}, server.target());
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(
      Run({roots, "LOSSD_TLS=true"}, {"health"}, server.target()).exit_code, 0);
}

TEST_F(LossctlTlsTest, DoesNotGetThroughWhereOnlyOneSideSpeaksTls) {
  const ServerProcess with(LOSSD_BINARY, "127.0.0.1:0", ServerFlags());
  const ServerProcess without(LOSSD_BINARY);
  const Strings trust = {"--tls-ca", Path("ca.pem"), "health"};
  for (const ProcessResult& result :
       {Run({}, {"health"}, with.target()), Run({}, trust, without.target())}) {
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.err, StartsWith("lossctl: UNAVAILABLE: "));
  }
}

TEST_F(LossctlTlsTest, RefusesFilesThatItCannotUse) {
  const auto message = [&](Strings flags) {
    flags.emplace_back("health");
    const ProcessResult result = Run({}, flags, "127.0.0.1:1");
    EXPECT_EQ(result.exit_code, 2) << result.err;
    return result.err;
  };
  EXPECT_EQ(message({"--tls-ca", Path("nothing")}),
            "lossctl: tls.ca_file = " + Path("nothing") +
                ", want a file to read: No such file or directory\n");
  EXPECT_THAT(message({"--tls-certificate", Path("client.pem")}),
              HasSubstr("tls.key_file: missing"));
  EXPECT_THAT(message({"--tls-key", Path("client.key")}),
              HasSubstr("tls.certificate_file: missing"));
}

TEST_F(LossctlTlsTest, ExplainsItsFlags) {
  const ProcessResult result = RunProcess({LOSSCTL_BINARY, "--help"});
  for (const char* word :
       {"--tls", "--tls-ca", "--tls-certificate", "--tls-key",
        "--tls-server-name", "LOSSD_TLS_CA", "LOSSD_TLS_CLIENT_CERTIFICATE",
        "LOSSD_TLS_CLIENT_KEY", "LOSSD_TLS_SERVER_NAME"}) {
    EXPECT_THAT(result.out, HasSubstr(word));
  }
}

}  // namespace
}  // namespace lossd::lossctl
