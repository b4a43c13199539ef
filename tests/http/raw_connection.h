// A client of HTTP that does as it likes.
#ifndef LOSSD_TESTS_HTTP_RAW_CONNECTION_H_
#define LOSSD_TESTS_HTTP_RAW_CONNECTION_H_

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace lossd::http {

// A connection that does as it likes.
class RawConnection {
 public:
  // `address`: 127.0.0.1:PORT.
  explicit RawConnection(const std::string& address)
      : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in name = {};
    name.sin_family = AF_INET;
    name.sin_port = htons(std::stoi(address.substr(address.rfind(':') + 1)));
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(
        connect(socket_, reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
  }
  ~RawConnection() { close(socket_); }

  void Send(const std::string& bytes) {
    send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

  // Waits until the server has closed it; sends `trickle` now and then.
  std::string ReceiveAll(const std::string& trickle = "") {
    constexpr int kNowAndThenMs = 5;
    std::string received;
    char bytes[4096];
    for (;;) {
      pollfd readable{socket_, POLLIN, 0};
      if (poll(&readable, 1, kNowAndThenMs) == 0) {
        Send(trickle);
        continue;
      }
      const ssize_t count = recv(socket_, bytes, sizeof(bytes), 0);
      if (count <= 0) return received;
      received.append(bytes, count);
    }
  }

 private:
  const int socket_;
};

}  // namespace lossd::http

#endif  // LOSSD_TESTS_HTTP_RAW_CONNECTION_H_
