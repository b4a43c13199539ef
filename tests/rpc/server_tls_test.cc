// Who gets through to the server when it speaks TLS.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <string>

#include "tests/client/process.h"
#include "tests/rpc/test_server.h"
#include "tests/support/certificates.h"

namespace lossd::rpc {
namespace {

constexpr char kServerNames[] = "DNS:localhost,IP:127.0.0.1";
constexpr char kClientName[] = "URI:spiffe://lossd.test/trainer";

// One attempt to call, with the time of a slow machine for it.
grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::minutes(1));
  v1::GetServerInfoResponse response;
  return v1::LossService::NewStub(channel)->GetServerInfo(&context, {},
                                                          &response);
}

// A channel of its own whose client trusts `authority` and is `identity`.
std::shared_ptr<grpc::Channel> ConnectTls(const std::string& address,
                                          const Authority& authority,
                                          const Identity& identity = {}) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(
      address,
      grpc::SslCredentials(
          {authority.certificate(), identity.key, identity.certificate}),
      arguments);
}

class ServerTlsTest : public ::testing::Test {
 protected:
  ServerTlsTest() { Replace(authority_.Issue(kServerNames)); }

  // Puts another identity in the place of the server's, as operators should:
  // each file at once.
  void Replace(const Identity& identity) const {
    directory_.Write("new", identity.certificate);
    std::rename(directory_.Path("new").c_str(),
                directory_.Path("certificate.pem").c_str());
    directory_.Write("new", identity.key);
    std::rename(directory_.Path("new").c_str(),
                directory_.Path("key.pem").c_str());
  }

  Options TlsOptions() const {
    Options options = TestOptions();
    options.tls.certificate = directory_.Path("certificate.pem");
    options.tls.key = directory_.Path("key.pem");
    options.tls.reload = std::chrono::seconds(1);
    return options;
  }

  Options MutualOptions() const {
    directory_.Write("ca.pem", authority_.certificate());
    Options options = TlsOptions();
    options.tls.client_ca = directory_.Path("ca.pem");
    return options;
  }

  static std::string AddressOf(TestServer& server) {
    return server.server().addresses().front();
  }

  const Authority authority_;
  const Authority other_authority_;
  const lossd::testing::TestDirectory directory_;
};

TEST_F(ServerTlsTest, AnswersWhoeverTrustsItsAuthority) {
  TestServer server(TlsOptions());
  const grpc::Status status = Call(ConnectTls(AddressOf(server), authority_));
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(ServerTlsTest, IsNotTrustedByClientsOfAnotherAuthority) {
  TestServer server(TlsOptions());
  const grpc::Status status =
      Call(ConnectTls(AddressOf(server), other_authority_));
  EXPECT_EQ(status.error_code(), grpc::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), ::testing::HasSubstr("handshake failed"));
}

TEST_F(ServerTlsTest, IsNotTrustedUnderAnotherName) {
  Replace(authority_.Issue("DNS:lossd.example"));
  TestServer server(TlsOptions());
  EXPECT_EQ(Call(ConnectTls(AddressOf(server), authority_)).error_code(),
            grpc::UNAVAILABLE);
}

TEST_F(ServerTlsTest, DoesNotAnswerPlaintext) {
  TestServer server(TlsOptions());
  EXPECT_EQ(Call(Connect(AddressOf(server))).error_code(), grpc::UNAVAILABLE);
  EXPECT_TRUE(Call(ConnectTls(AddressOf(server), authority_)).ok());
}

TEST_F(ServerTlsTest, DoesNotAnswerTlsWithoutCertificates) {
  TestServer server;
  EXPECT_EQ(Call(ConnectTls(AddressOf(server), authority_)).error_code(),
            grpc::UNAVAILABLE);
  EXPECT_TRUE(Call(Connect(AddressOf(server))).ok());
}

// The socket's file is guarded by its permissions.
TEST_F(ServerTlsTest, SpeaksPlaintextOnUnixSocketsBesideIt) {
  Options options = TlsOptions();
  options.listen.push_back("unix:" + directory_.Path("socket"));
  TestServer server(options);
  EXPECT_TRUE(Call(Connect(options.listen.back())).ok());
  EXPECT_TRUE(Call(ConnectTls(AddressOf(server), authority_)).ok());
}

TEST_F(ServerTlsTest, ListensForOtherMachines) {
  Options options = TlsOptions();
  options.listen = {"0.0.0.0:0"};
  TestServer server(options);
  const std::string address = AddressOf(server);
  EXPECT_TRUE(Call(ConnectTls("127.0.0.1" + address.substr(address.rfind(':')),
                              authority_))
                  .ok());
}

TEST_F(ServerTlsTest, WantsAClientCertificateWhereItHasAClientCa) {
  TestServer server(MutualOptions());
  const std::string address = AddressOf(server);
  const grpc::Status status =
      Call(ConnectTls(address, authority_, authority_.Issue(kClientName)));
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(Call(ConnectTls(address, authority_)).error_code(),
            grpc::UNAVAILABLE);
  EXPECT_EQ(
      Call(ConnectTls(address, authority_, other_authority_.Issue(kClientName)))
          .error_code(),
      grpc::UNAVAILABLE);
}

TEST_F(ServerTlsTest, TakesOverNewFilesForNewConnections) {
  TestServer server(TlsOptions());
  const std::string address = AddressOf(server);
  const auto old_connection = ConnectTls(address, authority_);
  ASSERT_TRUE(Call(old_connection).ok());
  ASSERT_FALSE(Call(ConnectTls(address, other_authority_)).ok());
  Replace(other_authority_.Issue(kServerNames));
  while (!Call(ConnectTls(address, other_authority_)).ok()) {
  }
  EXPECT_FALSE(Call(ConnectTls(address, authority_)).ok());
  EXPECT_TRUE(Call(old_connection).ok());
}

// A key that came without its certificate: nobody gets through, and everybody
// again once the files match.
TEST_F(ServerTlsTest, ComesBackFromFilesThatDoNotMatch) {
  TestServer server(TlsOptions());
  const std::string address = AddressOf(server);
  ASSERT_TRUE(Call(ConnectTls(address, authority_)).ok());
  directory_.Write("key.pem", other_authority_.Issue(kServerNames).key);
  while (Call(ConnectTls(address, authority_)).ok()) {
  }
  Replace(authority_.Issue(kServerNames));
  while (!Call(ConnectTls(address, authority_)).ok()) {
  }
}

TEST_F(ServerTlsTest, TakesOverANewClientCa) {
  TestServer server(MutualOptions());
  const std::string address = AddressOf(server);
  const Identity client = other_authority_.Issue(kClientName);
  ASSERT_FALSE(Call(ConnectTls(address, authority_, client)).ok());
  directory_.Write("ca.pem", other_authority_.certificate());
  while (!Call(ConnectTls(address, authority_, client)).ok()) {
  }
}

TEST_F(ServerTlsTest, DoesNotStartWithFilesThatDoNotMatch) {
  directory_.Write("key.pem", authority_.Issue(kServerNames).key);
  const auto server = Server::Start(TlsOptions());
  EXPECT_EQ(server.status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace lossd::rpc
