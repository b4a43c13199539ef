// What the files of TLS are refused for, before anything listens.
#include "server/rpc/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/client/process.h"
#include "tests/support/certificates.h"

namespace lossd::rpc {
namespace {

using ::testing::HasSubstr;

class TlsFilesTest : public ::testing::Test {
 protected:
  TlsFilesTest() {
    directory_.Write("certificate.pem", identity_.certificate);
    directory_.Write("key.pem", identity_.key);
    directory_.Write("ca.pem", authority_.certificate());
  }

  TlsFiles Files() const {
    return {.certificate = directory_.Path("certificate.pem"),
            .key = directory_.Path("key.pem"),
            .client_ca = directory_.Path("ca.pem")};
  }

  // The one line that Files() are refused with.
  std::string Refusal() const {
    const absl::Status status = CheckTlsFiles(Files());
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    std::string line(status.message());
    EXPECT_EQ(line.find('\n'), std::string::npos) << line;
    return line;
  }

  const Authority authority_;
  const Identity identity_ = authority_.Issue("DNS:localhost");
  const lossd::testing::TestDirectory directory_;
};

TEST_F(TlsFilesTest, AreTakenWithAndWithoutAClientCa) {
  TlsFiles files = Files();
  EXPECT_TRUE(CheckTlsFiles(files).ok()) << CheckTlsFiles(files);
  files.client_ca.clear();
  EXPECT_TRUE(CheckTlsFiles(files).ok());
}

TEST_F(TlsFilesTest, MayHoldAChainAndTextBetween) {
  directory_.Write("certificate.pem",
                   "the server's own\n" + identity_.certificate +
                       "\nits issuer\n" + authority_.certificate() + "\n");
  EXPECT_TRUE(CheckTlsFiles(Files()).ok()) << CheckTlsFiles(Files());
}

TEST_F(TlsFilesTest, AreNamedWhenTheyAreNotThere) {
  TlsFiles files = Files();
  files.key = directory_.Path("nothing");
  EXPECT_EQ(CheckTlsFiles(files).message(),
            "tls_key = " + files.key +
                ", want a file to read: No such file or directory");
  files = Files();
  files.certificate = "/";
  EXPECT_THAT(std::string(CheckTlsFiles(files).message()),
              HasSubstr("tls_certificate = /, want a file to read: "));
  files = Files();
  files.client_ca = "/dev/zero";  // endless
  EXPECT_THAT(std::string(CheckTlsFiles(files).message()),
              HasSubstr("tls_client_ca = /dev/zero, want a file to read: more "
                        "than 16777216 bytes"));
}

TEST_F(TlsFilesTest, AreRefusedWithoutWhatTheyShouldHold) {
  for (const std::string& text :
       {std::string(), std::string("no PEM\n"), identity_.key}) {
    directory_.Write("certificate.pem", text);
    EXPECT_THAT(Refusal(), HasSubstr("certificate.pem, want certificates"));
  }
  directory_.Write("certificate.pem", identity_.certificate);
  directory_.Write("key.pem", identity_.certificate);
  EXPECT_THAT(Refusal(), HasSubstr("key.pem, want a private key"));
  directory_.Write("key.pem", identity_.key);
  directory_.Write("ca.pem", "");
  EXPECT_THAT(Refusal(), HasSubstr("ca.pem, want certificates"));
}

// All of a chain is sent: the second one counts as the first.
TEST_F(TlsFilesTest, AreRefusedWithOneBrokenCertificateAmongGoodOnes) {
  std::string broken = authority_.certificate();
  broken[broken.size() / 2] = '!';
  directory_.Write("certificate.pem", identity_.certificate + broken);
  EXPECT_THAT(Refusal(), HasSubstr("certificate.pem, want certificates"));
}

TEST_F(TlsFilesTest, AreRefusedWithTheKeyOfAnotherCertificate) {
  directory_.Write("key.pem", authority_.Issue("DNS:localhost").key);
  EXPECT_THAT(Refusal(), HasSubstr("key.pem, want the key of the certificate "
                                   "in " +
                                   directory_.Path("certificate.pem")));
}

// Nobody is asked for the password: a server has no terminal.
TEST_F(TlsFilesTest, AreRefusedWithAKeyUnderAPassword) {
  directory_.Write("key.pem", authority_.Issue("DNS:localhost", "secret").key);
  EXPECT_THAT(Refusal(), HasSubstr("without a password"));
}

}  // namespace
}  // namespace lossd::rpc
