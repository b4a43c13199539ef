#include "server/rpc/listen.h"

#include <gtest/gtest.h>

#include <string>

namespace lossd::rpc {
namespace {

TEST(ListenAddressTest, TakesHostsWithPortsAndSocketPaths) {
  for (const std::string address :
       {"127.0.0.1:0", "localhost:65535", "0.0.0.0:1", "[::1]:50051",
        "unix:/run/lossd.sock", "unix:x"}) {
    EXPECT_TRUE(CheckListenAddress(address).ok()) << address;
  }
}

TEST(ListenAddressTest, RejectsEverythingElse) {
  for (const std::string address :
       {"", "localhost", "localhost:", ":50051", "localhost:65536",
        "localhost:-1", "localhost:http", "localhost:1 ", "::1:50051",
        "unix:"}) {
    EXPECT_EQ(CheckListenAddress(address).code(),
              absl::StatusCode::kInvalidArgument)
        << address;
  }
}

TEST(ListenAddressTest, RejectsAPathTooLongForASocket) {
  EXPECT_TRUE(CheckListenAddress("unix:" + std::string(107, 'p')).ok());
  EXPECT_FALSE(CheckListenAddress("unix:" + std::string(108, 'p')).ok());
}

TEST(ListenAddressTest, IsLocalWhereOnlyThisMachineReachesIt) {
  for (const std::string address :
       {"127.0.0.1:0", "127.255.255.255:1", "localhost:0", "[::1]:0",
        "unix:/run/x", "unix:x"}) {
    EXPECT_TRUE(IsLocalAddress(address)) << address;
  }
}

// A name may lead anywhere, and numbers that are no plain address are names.
TEST(ListenAddressTest, IsNotLocalOtherwise) {
  for (const std::string address :
       {"0.0.0.0:0", "126.255.255.255:0", "128.0.0.0:0", "[::]:0", "[::2]:0",
        "192.168.1.1:0", "host.example:0", "localhost.example:0", "127.1:0",
        "2130706433:0", "[]:0", "unix-abstract:0", "*:0"}) {
    EXPECT_FALSE(IsLocalAddress(address)) << address;
  }
}

TEST(ListenAddressTest, ShowsThePortThatWasBound) {
  EXPECT_EQ(BoundAddress("127.0.0.1:0", 4711), "127.0.0.1:4711");
  EXPECT_EQ(BoundAddress("[::1]:0", 4711), "[::1]:4711");
  EXPECT_EQ(BoundAddress("unix:/run/x", 1), "unix:/run/x");
}

TEST(ListenAddressTest, TakesTheReasonFromTheLog) {
  EXPECT_EQ(CannotListen("a:1",
                         "UNKNOWN:x {os_error:\"Permission denied\", "
                         "errno:13}")
                .message(),
            "cannot listen on a:1: permission denied");
  EXPECT_EQ(CannotListen("a:1", "nothing of use").message(),
            "cannot listen on a:1: no such address");
}

}  // namespace
}  // namespace lossd::rpc
