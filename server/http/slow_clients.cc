#include "server/http/slow_clients.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace lossd::http {

using Clock = std::chrono::steady_clock;

namespace {

constexpr std::chrono::milliseconds kLongestLinger(500);

}  // namespace

BoundedStream::BoundedStream(socket_t socket,
                             std::chrono::milliseconds patience,
                             int64_t max_header_bytes)
    : socket_(socket), patience_(patience), bytes_left_(max_header_bytes) {
  Renew(0);
}

void BoundedStream::Renew(int64_t bytes) {
  deadline_ = Clock::now() + patience_ +
              std::chrono::seconds(bytes / kSlowestBytesPerSecond);
}

void BoundedStream::AwaitBody(int64_t bytes) {
  Renew(bytes);
  bytes_left_ =
      std::max<int64_t>(0, bytes - static_cast<int64_t>(unread_.size()));
}

bool BoundedStream::is_peer_gone() const {
  char byte;
  const ssize_t count =
      recv(socket_, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT);
  return count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR);
}

void BoundedStream::Linger() {
  shutdown(socket_, SHUT_WR);
  deadline_ = Clock::now() + std::min(patience_, kLongestLinger);
  while (Await(POLLIN) &&
         recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT) > 0) {
  }
}

bool BoundedStream::Await(short events) const {
  pollfd socket{socket_, events, 0};
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now());
    if (left.count() <= 0) return false;
    const int ready = poll(&socket, 1, static_cast<int>(left.count()));
    if (ready >= 0) return ready == 1;
    if (errno != EINTR) return false;
  }
}

bool BoundedStream::is_readable() const {
  return !unread_.empty() || Await(POLLIN);
}

bool BoundedStream::is_writable() const { return Await(POLLOUT); }

ssize_t BoundedStream::read(char* bytes, size_t size) {
  if (unread_.empty()) {
    const size_t room =
        std::min(buffer_.size(), static_cast<size_t>(bytes_left_));
    has_too_many_bytes_ = room == 0;
    if (room == 0 || !Await(POLLIN)) return -1;
    const ssize_t received = recv(socket_, buffer_.data(), room, MSG_DONTWAIT);
    if (received <= 0) return received;
    bytes_left_ -= received;
    unread_ = {buffer_.data(), static_cast<size_t>(received)};
  }
  const size_t copied = unread_.copy(bytes, size);
  unread_.remove_prefix(copied);
  return static_cast<ssize_t>(copied);
}

ssize_t BoundedStream::write(const char* bytes, size_t size) {
  if (!Await(POLLOUT)) return -1;
  return send(socket_, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

// Nobody asks: access is by the loopback alone.
void BoundedStream::get_remote_ip_and_port(std::string&, int&) const {}
void BoundedStream::get_local_ip_and_port(std::string&, int&) const {}

void BoundedThreads::enqueue(std::function<void()> task) {
  room_.acquire();
  pool_.enqueue([this, task = std::move(task)] {
    task();
    room_.release();
  });
}

}  // namespace lossd::http
