#include "tests/e2e/http2.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

namespace lossd::http2 {
namespace {

// An integer of HPACK that begins in the last `bits` bits of `first`.
std::string Integer(uint8_t first, int bits, uint64_t value) {
  const uint64_t most = (1U << bits) - 1;
  if (value < most) return std::string(1, static_cast<char>(first | value));
  std::string bytes(1, static_cast<char>(first | most));
  for (value -= most; value >= 0x80; value >>= 7) {
    bytes += static_cast<char>(0x80 | (value & 0x7f));
  }
  return bytes + static_cast<char>(value);
}

std::string String(std::string_view text) {
  return Integer(0, 7, text.size()) + std::string(text);
}

}  // namespace

std::string Preface() {
  return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
         std::string("\0\0\0\4\0\0\0\0\0", 9);
}

std::string SettingsAck() { return std::string("\0\0\0\4\1\0\0\0\0", 9); }

std::string Frame(FrameType type, uint8_t flags, uint32_t stream,
                  std::string_view payload) {
  std::string frame;
  for (const int shift : {16, 8, 0}) {
    frame += static_cast<char>(payload.size() >> shift);
  }
  frame += static_cast<char>(type);
  frame += static_cast<char>(flags);
  for (const int shift : {24, 16, 8, 0}) {
    frame += static_cast<char>(stream >> shift);
  }
  return frame.append(payload);
}

std::string Header(std::string_view name, std::string_view value) {
  return HeaderOfLength(name, value.size()).append(value);
}

std::string StoredHeader(std::string_view name, std::string_view value) {
  return std::string(1, '\x40') + String(name) + String(value);
}

std::string HeaderOfLength(std::string_view name, uint64_t value_bytes) {
  return std::string(1, '\0') + String(name) + Integer(0, 7, value_bytes);
}

std::string CallHeaders(std::string_view path, std::string_view scheme) {
  return Header(":method", "POST") + Header(":scheme", scheme) +
         Header(":path", path) + Header(":authority", "lossd") +
         Header("content-type", "application/grpc");
}

Connection::Connection(const std::string& address)
    : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const size_t colon = address.rfind(':');
  sockaddr_in name{};
  name.sin_family = AF_INET;
  inet_pton(AF_INET, address.substr(0, colon).c_str(), &name.sin_addr);
  name.sin_port = htons(std::stoi(address.substr(colon + 1)));
  if (connect(socket_, reinterpret_cast<sockaddr*>(&name), sizeof(name)) != 0) {
    std::abort();
  }
}

Connection::~Connection() { close(socket_); }

bool Connection::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    // What the server says meanwhile is thrown away, so that it can go on.
    char answer[4096];
    while (recv(socket_, answer, sizeof(answer), MSG_DONTWAIT) > 0) {
    }
    const ssize_t sent =
        send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(sent);
  }
  return true;
}

bool Connection::ReadUntil(std::string_view text) {
  std::string answer;
  char part[4096];
  ssize_t bytes = 0;
  while ((bytes = recv(socket_, part, sizeof(part), 0)) > 0) {
    answer.append(part, bytes);
    if (answer.find(text) != std::string::npos) return true;
  }
  return false;
}

void Connection::AwaitEnd() {
  shutdown(socket_, SHUT_WR);
  char answer[4096];
  while (recv(socket_, answer, sizeof(answer), 0) > 0) {
  }
}

}  // namespace lossd::http2
