// The client library over TLS, against a server that computes.
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/lossd/client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/rpc/server.h"
#include "tests/client/process.h"
#include "tests/support/certificates.h"

namespace lossd {
namespace {

using ::testing::HasSubstr;

class ClientTlsTest : public ::testing::Test {
 protected:
  ClientTlsTest() {
    directory_.Write("ca.pem", authority_.certificate());
    Write("server", authority_.Issue("DNS:localhost,IP:127.0.0.1"));
    Write("client", authority_.Issue("URI:spiffe://lossd.test/trainer"));
    rpc::Options options;
    options.listen = {"127.0.0.1:0"};
    options.compute_threads = 2;
    options.tls = {.certificate = Path("server.pem"),
                   .key = Path("server.key"),
                   .client_ca = Path("ca.pem")};
    auto server = rpc::Server::Start(std::move(options));
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  void Write(const std::string& name, const Identity& identity) const {
    directory_.Write(name + ".pem", identity.certificate);
    directory_.Write(name + ".key", identity.key);
  }

  std::string Path(const std::string& name) const {
    return directory_.Path(name);
  }

  TlsOptions Mutual() const {
    return {.ca_file = Path("ca.pem"),
            .certificate_file = Path("client.pem"),
            .key_file = Path("client.key")};
  }

  absl::StatusOr<Client> Connect(const TlsOptions& tls) const {
    return Client::Connect({.target = server_->addresses().front(),
                            .retry = {.max_attempts = 1},
                            .tls = tls});
  }

  // How a call of a client with these options ends.
  absl::Status Call(const TlsOptions& tls) const {
    const auto client = Connect(tls);
    if (!client.ok()) return client.status();
    return client->GetServerInfo(CallOptions(absl::Minutes(1))).status();
  }

  const Authority authority_;
  const testing::TestDirectory directory_;
  std::unique_ptr<rpc::Server> server_;
};

TEST_F(ClientTlsTest, ComputesTheSameInOneMessageAndInAStream) {
  const auto client = Connect(Mutual());
  ASSERT_TRUE(client.ok()) << client.status();
  // More than a TLS record and a flow control window.
  constexpr int64_t kRows = 1000;
  constexpr int64_t kClasses = 500;
  std::vector<float> logits(kRows * kClasses);
  for (size_t i = 0; i < logits.size(); ++i) {
    logits[i] = static_cast<float>(i % 97) / 16;
  }
  const std::vector<int64_t> labels(kRows, 3);
  const Batch<float> batch = {
      .rows = kRows, .classes = kClasses, .logits = logits, .labels = labels};
  std::vector<std::vector<float>> gradients;
  std::vector<double> losses;
  for (const Transfer transfer : {Transfer::kUnary, Transfer::kStream}) {
    CallOptions call(absl::Minutes(2));
    call.transfer = transfer;
    gradients.emplace_back(logits.size());
    const auto summary = client->ComputeLoss<float>(
        batch, {}, call, {.gradient = absl::MakeSpan(gradients.back())});
    ASSERT_TRUE(summary.ok()) << summary.status();
    losses.push_back(summary->loss.value());
  }
  EXPECT_EQ(losses[0], losses[1]);
  EXPECT_EQ(gradients[0], gradients[1]);
  EXPECT_NE(gradients[0], std::vector<float>(logits.size()));
}

TEST_F(ClientTlsTest, IsRefusedWithoutACertificate) {
  EXPECT_EQ(Call({.ca_file = Path("ca.pem")}).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_TRUE(Call(Mutual()).ok()) << Call(Mutual());
}

TEST_F(ClientTlsTest, RefusesAServerOfAnotherAuthority) {
  directory_.Write("ca.pem", Authority().certificate());
  const absl::Status status = Call(Mutual());
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("handshake failed"));
}

TEST_F(ClientTlsTest, RefusesAServerOfAnotherName) {
  TlsOptions tls = Mutual();
  tls.server_name = "localhost";
  EXPECT_TRUE(Call(tls).ok()) << Call(tls);
  tls.server_name = "lossd.test";
  EXPECT_EQ(Call(tls).code(), absl::StatusCode::kUnavailable);
}

// Not the target, which is fine, but the files are to blame.
TEST_F(ClientTlsTest, NamesAFileThatItCannotUse) {
  const struct {
    std::string TlsOptions::*file;
    std::string name;
  } kFiles[] = {{&TlsOptions::ca_file, "tls.ca_file"},
                {&TlsOptions::certificate_file, "tls.certificate_file"},
                {&TlsOptions::key_file, "tls.key_file"}};
  directory_.Write("empty", "");
  for (const auto& file : kFiles) {
    for (const std::string& path : {Path("nothing"), Path("empty"), Path("")}) {
      TlsOptions tls = Mutual();
      tls.*file.file = path;
      const absl::Status status = Connect(tls).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(std::string(status.message()),
                  HasSubstr(file.name + " = " + path +
                            ", want a file to "
                            "read: "));
    }
  }
}

TEST_F(ClientTlsTest, WantsBothHalvesOfAnIdentity) {
  TlsOptions tls = Mutual();
  tls.key_file.clear();
  EXPECT_EQ(
      Connect(tls).status().message(),
      "tls.key_file: missing, want the private key of " + Path("client.pem"));
  tls = Mutual();
  tls.certificate_file.clear();
  EXPECT_EQ(Connect(tls).status().message(),
            "tls.certificate_file: missing, want the certificate of " +
                Path("client.key"));
}

TEST_F(ClientTlsTest, RefusesFilesWithoutWhatTheyShouldHold) {
  const auto refusal = [&] {
    const absl::Status status = Connect(Mutual()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  directory_.Write("client.key", authority_.Issue("DNS:x").key);
  EXPECT_THAT(refusal(), HasSubstr("client.key, want the private key of"));
  directory_.Write("client.key", authority_.Issue("DNS:x", "secret").key);
  EXPECT_THAT(refusal(), HasSubstr("without a password"));
  directory_.Write("client.pem", "no PEM");
  EXPECT_THAT(refusal(), HasSubstr("client.pem, want certificates in PEM"));
  directory_.Write("ca.pem", "no PEM");
  EXPECT_THAT(refusal(), HasSubstr("ca.pem, want certificates in PEM"));
}

}  // namespace
}  // namespace lossd
