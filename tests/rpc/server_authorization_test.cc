// Who may call what, by a policy.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/substitute.h"
#include "tests/client/process.h"
#include "tests/rpc/requests.h"
#include "tests/rpc/test_server.h"
#include "tests/support/certificates.h"

namespace lossd::rpc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kPath[] = "/lossd.v1.LossService/";
constexpr char kTrainer[] = "spiffe://lossd.test/trainer";
constexpr char kGuest[] = "spiffe://lossd.test/guest";

// A policy of one rule that lets through calls of `method`, of everybody.
std::string Allow(const std::string& method) {
  return absl::Substitute(R"({"name": "test", "allow_rules": [
      {"name": "one", "request": {"paths": ["$0$1"]}}]})",
                          kPath, method);
}

// How a call of `method` without a message ends.
grpc::StatusCode CodeOf(const std::shared_ptr<grpc::Channel>& channel,
                        const std::string& method) {
  return StatusOfBytes(channel, kPath + method, "").error_code();
}

class ServerAuthorizationTest : public ::testing::Test {
 protected:
  Options OptionsWith(const std::string& policy) const {
    directory_.Write("policy.json", policy);
    Options options = TestOptions();
    options.authorization_policy = directory_.Path("policy.json");
    options.authorization_reload = std::chrono::seconds(1);
    return options;
  }

  const lossd::testing::TestDirectory directory_;
};

TEST_F(ServerAuthorizationTest, LetsThroughOnlyTheMethodsThatItNames) {
  TestServer server(OptionsWith(Allow("GetServerInfo")));
  for (const char* method :
       {"ComputeLoss", "StreamLoss", "ComputeHessianVectorProduct"}) {
    const grpc::Status status =
        StatusOfBytes(server.channel(), std::string(kPath) + method, "");
    EXPECT_EQ(status.error_code(), grpc::PERMISSION_DENIED);
    EXPECT_THAT(status.error_message(), HasSubstr(method));
    EXPECT_EQ(ErrorInfoOf(status).reason(), "DENIED_BY_POLICY");
  }
  // Health is no exception.
  grpc::Status health;
  server.Health("", &health);
  EXPECT_EQ(health.error_code(), grpc::PERMISSION_DENIED);
  EXPECT_EQ(server.server().calls_in_flight(), 0);
  server.GetServerInfo();
}

// gRPC answers for it without asking the policy.
TEST_F(ServerAuthorizationTest, TurnsReflectionOff) {
  TestServer server(OptionsWith(Allow("*")));
  EXPECT_EQ(StatusOfBytes(server.channel(),
                          "/grpc.reflection.v1alpha.ServerReflection/"
                          "ServerReflectionInfo",
                          std::string("\x3a\0", 2))
                .error_code(),
            grpc::UNIMPLEMENTED);
}

// Every kind of call goes on as without a policy.
TEST_F(ServerAuthorizationTest, LeavesAllowedCallsAsTheyAre) {
  TestServer server(OptionsWith(Allow("*")));
  EXPECT_EQ(CodeOf(server.channel(), "ComputeLoss"), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(CodeOf(server.channel(), "StreamLoss"), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(CodeOf(server.channel(), "Nothing"), grpc::UNIMPLEMENTED);
  EXPECT_EQ(CodeOf(server.channel(), "GetServerInfo"), grpc::OK);
}

TEST_F(ServerAuthorizationTest, TellsPrincipalsByTheirCertificates) {
  const Authority authority;
  const Identity own = authority.Issue("IP:127.0.0.1");
  directory_.Write("ca.pem", authority.certificate());
  directory_.Write("certificate.pem", own.certificate);
  directory_.Write("key.pem", own.key);
  Options options = OptionsWith(absl::Substitute(
      R"({"name": "test",
        "deny_rules": [{"name": "guests compute nothing",
          "source": {"principals": ["$0"]},
          "request": {"paths": ["$1Compute*"]}}],
        "allow_rules": [{"name": "ours",
          "source": {"principals": ["$0", "$2"]}}]})",
      kGuest, kPath, kTrainer));
  options.tls = {.certificate = directory_.Path("certificate.pem"),
                 .key = directory_.Path("key.pem"),
                 .client_ca = directory_.Path("ca.pem")};
  TestServer server(options);
  const auto connect = [&](const std::string& name) {
    const Identity identity = authority.Issue("URI:" + name);
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(
        server.server().addresses().front(),
        grpc::SslCredentials(
            {authority.certificate(), identity.key, identity.certificate}),
        arguments);
  };
  const auto trainer = connect(kTrainer);
  EXPECT_EQ(CodeOf(trainer, "GetServerInfo"), grpc::OK);
  EXPECT_EQ(CodeOf(trainer, "ComputeLoss"), grpc::INVALID_ARGUMENT);
  const auto guest = connect(kGuest);
  EXPECT_EQ(CodeOf(guest, "GetServerInfo"), grpc::OK);
  EXPECT_EQ(CodeOf(guest, "ComputeLoss"), grpc::PERMISSION_DENIED);
  EXPECT_EQ(CodeOf(guest, "StreamLoss"), grpc::INVALID_ARGUMENT);
  // Trusted by TLS, in no rule.
  EXPECT_EQ(CodeOf(connect("spiffe://lossd.test/other"), "GetServerInfo"),
            grpc::PERMISSION_DENIED);
}

// Without TLS nobody is anybody.
TEST_F(ServerAuthorizationTest, KnowsNoPrincipalsOverPlaintext) {
  TestServer server(OptionsWith(R"({"name": "test", "allow_rules": [
      {"name": "anybody known", "source": {"principals": ["*"]}}]})"));
  EXPECT_EQ(CodeOf(server.channel(), "GetServerInfo"), grpc::PERMISSION_DENIED);
}

TEST_F(ServerAuthorizationTest, SeesTheHeadersOfACall) {
  TestServer server(OptionsWith(R"({"name": "test", "allow_rules": [
      {"name": "ours", "request": {"headers": [
          {"key": "X-Team", "values": ["loss*"]}]}}]})"));
  const auto call = [&](const std::string& team) {
    grpc::ClientContext context;
    if (!team.empty()) context.AddMetadata("x-team", team);
    v1::GetServerInfoResponse response;
    return server.stub().GetServerInfo(&context, {}, &response).error_code();
  };
  EXPECT_EQ(call("losses"), grpc::OK);
  EXPECT_EQ(call("gains"), grpc::PERMISSION_DENIED);
  EXPECT_EQ(call(""), grpc::PERMISSION_DENIED);
}

TEST_F(ServerAuthorizationTest, TakesOverANewPolicy) {
  TestServer server(OptionsWith(Allow("ComputeLoss")));
  ASSERT_EQ(CodeOf(server.channel(), "GetServerInfo"), grpc::PERMISSION_DENIED);
  directory_.Write("policy.json", Allow("GetServerInfo"));
  while (CodeOf(server.channel(), "GetServerInfo") != grpc::OK) {
  }
  EXPECT_EQ(CodeOf(server.channel(), "ComputeLoss"), grpc::PERMISSION_DENIED);
}

// A policy that is none changes nothing; the next that is one does.
TEST_F(ServerAuthorizationTest, KeepsAPolicyUntilThereIsAnother) {
  const Options options = OptionsWith(Allow("GetServerInfo"));
  const auto file = PolicyFile::Open(options.authorization_policy,
                                     std::chrono::milliseconds(1));
  ASSERT_TRUE(file.ok()) << file.status();
  const auto first = (*file)->policy();
  const auto reads = [&] { return (*file)->reads(); };
  for (const std::string text : {"{}", ""}) {
    directory_.Write("policy.json", text);
    const int64_t before = reads();
    while (reads() < before + 2) {
    }
    EXPECT_EQ((*file)->policy(), first);
  }
  directory_.Write("policy.json", Allow("*"));
  while ((*file)->policy() == first) {
  }
}

TEST_F(ServerAuthorizationTest, RefusesAPolicyThatIsNone) {
  for (const std::string text :
       {"", "no JSON", "{}", R"({"name": "x"})", R"({"name": "x",
        "allow_rules": [{"name": "y", "sources": {}}]})"}) {
    SCOPED_TRACE(text);
    const absl::Status status = Server::Start(OptionsWith(text)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("authorization_policy = "),
                      HasSubstr("policy.json, want a gRPC authorization "
                                "policy: ")));
    EXPECT_EQ(status.message().find('\n'), std::string::npos);
  }
}

TEST_F(ServerAuthorizationTest, RefusesAPolicyThatIsNotThere) {
  Options options = TestOptions();
  options.authorization_policy = directory_.Path("nothing");
  EXPECT_EQ(Server::Start(options).status().message(),
            "authorization_policy = " + options.authorization_policy +
                ", want a file to read: No such file or directory");
}

}  // namespace
}  // namespace lossd::rpc
