// channelz: gRPC's own account of connections and calls.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/rpc/test_server.h"

namespace lossd::rpc {
namespace {

// GetServersRequest has only defaults here: no bytes.
constexpr char kGetServers[] = "/grpc.channelz.v1.Channelz/GetServers";
constexpr char kListServices[] = "\x3a";  // list_services = ""
constexpr char kReflection[] =
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

class ServerChannelzTest : public ::testing::TestWithParam<bool> {};

TEST_P(ServerChannelzTest, NamesTheSocketsThatItListensOn) {
  Options options = TestOptions();
  options.channelz = true;
  options.reflection = GetParam();
  TestServer server(options);
  std::string response;
  const grpc::Status status =
      StatusOfBytes(server.channel(), kGetServers, "", &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(response, ::testing::HasSubstr("listener ipv4:127.0.0.1:"));
}

// The other plugin is there or not, whatever this one is.
TEST_P(ServerChannelzTest, LeavesReflectionAsItIs) {
  for (const bool channelz : {true, false}) {
    Options options = TestOptions();
    options.channelz = channelz;
    options.reflection = GetParam();
    TestServer server(options);
    EXPECT_EQ(StatusOfBytes(server.channel(), kReflection,
                            std::string(kListServices, 2))
                  .error_code(),
              GetParam() ? grpc::OK : grpc::UNIMPLEMENTED);
  }
}

INSTANTIATE_TEST_SUITE_P(WithAndWithoutReflection, ServerChannelzTest,
                         ::testing::Bool());

// Also where a server of the same process had it before.
TEST(ServerTest, HasNoChannelzUnlessToldTo) {
  Options options = TestOptions();
  options.channelz = true;
  const TestServer with(options);
  TestServer server;
  EXPECT_EQ(StatusOfBytes(server.channel(), kGetServers, "").error_code(),
            grpc::UNIMPLEMENTED);
}

}  // namespace
}  // namespace lossd::rpc
