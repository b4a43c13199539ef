// Connections that go wrong below the level of calls.
#include <gtest/gtest.h>
#include <signal.h>

#include <random>
#include <string>

#include "tests/e2e/http2.h"
#include "tests/e2e/lossd_process.h"
#include "tests/e2e/requests.h"
#include "tests/e2e/wire.h"

namespace lossd {
namespace {

std::string Garbage(size_t bytes) {
  std::mt19937 random(1);
  std::string garbage(bytes, '\0');
  for (char& byte : garbage) byte = static_cast<char>(random());
  return garbage;
}

class ConnectionTest : public testing::Test {
 protected:
  // Sends `bytes` on a connection of its own, then reads until the server
  // closes it or answers.
  void SendBytes(const std::string& bytes) {
    http2::Connection connection(address_);
    // The server may close before it has read everything.
    connection.Send(bytes);
    connection.AwaitEnd();
  }

  // A new connection is served, and the server ends as ever.
  void TearDown() override {
    EXPECT_TRUE(ComputeLoss(Connect(address_), MakeRequest(2, 3)).status.ok());
    lossd_.Signal(SIGTERM);
    EXPECT_EQ(lossd_.WaitForExit(), 0);
  }

  LossdProcess lossd_{{"--listen", "127.0.0.1:0"}};
  const std::string address_ = lossd_.WaitForAddress();
};

TEST_F(ConnectionTest, ThatSaysNothing) { SendBytes(""); }

TEST_F(ConnectionTest, ThatSpeaksAnOlderHttp) {
  SendBytes("GET / HTTP/1.1\r\nHost: lossd\r\n\r\n");
}

TEST_F(ConnectionTest, ThatSendsGarbage) {
  SendBytes(Garbage(100'000));
  SendBytes(http2::Preface() + Garbage(100'000));
}

// A header block that is announced and never ends.
TEST_F(ConnectionTest, ThatEndsWithinAHeader) {
  SendBytes(http2::Preface() + std::string("\0\1\0\1\4\0\0\0\1", 9) + "abc");
}

TEST_F(ConnectionTest, ThatEndsWithinACall) {
  for (int i = 0; i < 20; ++i) {
    WireCall abandoned(Connect(address_), kComputeLossPath);
    abandoned.Cancel();
    EXPECT_EQ(abandoned.WaitForEnd().status.error_code(), grpc::CANCELLED);
  }
}

}  // namespace
}  // namespace lossd
