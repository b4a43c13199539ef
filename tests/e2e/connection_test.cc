// Connections that go wrong below the level of calls.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>
#include <string>

#include "tests/e2e/lossd_process.h"
#include "tests/e2e/requests.h"
#include "tests/e2e/wire.h"

namespace lossd {
namespace {

// What every HTTP/2 client says first, and an empty SETTINGS frame.
std::string Preface() {
  return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
         std::string("\0\0\0\4\0\0\0\0\0", 9);
}

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
    const size_t colon = address_.rfind(':');
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(std::stoi(address_.substr(colon + 1)));
    const int connection = socket(AF_INET, SOCK_STREAM, 0);
    ASSERT_EQ(connect(connection, reinterpret_cast<sockaddr*>(&address),
                      sizeof(address)),
              0);
    // The server may close before it has read everything.
    send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    shutdown(connection, SHUT_WR);
    char answer[4096];
    while (read(connection, answer, sizeof(answer)) > 0) {
    }
    close(connection);
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
  SendBytes(Preface() + Garbage(100'000));
}

// A header block that is announced and never ends.
TEST_F(ConnectionTest, ThatEndsWithinAHeader) {
  SendBytes(Preface() + std::string("\0\1\0\1\4\0\0\0\1", 9) + "abc");
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
