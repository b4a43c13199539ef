// What keeps slow clients from holding the HTTP server up.
#ifndef LOSSD_SERVER_HTTP_SLOW_CLIENTS_H_
#define LOSSD_SERVER_HTTP_SLOW_CLIENTS_H_

#include <httplib.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <semaphore>
#include <string>
#include <string_view>

namespace lossd::http {

// A connection that may take so long and send so much for each of its parts:
// the library's own timeouts begin anew with every byte. Does not own the
// socket.
class BoundedStream : public httplib::Stream {
 public:
  // For the request's headers.
  BoundedStream(socket_t socket, std::chrono::milliseconds patience,
                int64_t max_header_bytes);

  // For the next part: so long, and a second more per kSlowestBytesPerSecond of
  // its `bytes`.
  static constexpr int64_t kSlowestBytesPerSecond = 256 << 10;
  void Renew(int64_t bytes);
  // For a body of so many bytes, of which some may be here already.
  void AwaitBody(int64_t bytes);

  // Whether more headers came than may.
  bool has_too_many_bytes() const { return has_too_many_bytes_; }
  // Whether the client has closed the connection, or its half of it.
  bool is_peer_gone() const;
  // Says that nothing more is written, and drops what the client still sends,
  // for a while: who closes over unread bytes may take its answer back.
  void Linger();

  bool is_readable() const override;
  bool is_writable() const override;
  // -1 when the time is over, or the bytes are.
  ssize_t read(char* bytes, size_t size) override;
  ssize_t write(const char* bytes, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

 private:
  // Whether one of `events` comes in time.
  bool Await(short events) const;

  const socket_t socket_;
  const std::chrono::milliseconds patience_;
  std::chrono::steady_clock::time_point deadline_;
  int64_t bytes_left_;
  bool has_too_many_bytes_ = false;
  // The library reads a header byte by byte.
  std::array<char, 4096> buffer_;
  std::string_view unread_;  // of buffer_
};

// Threads that answer, and no more connections than so many at a time: enqueue
// waits for room, and nothing is accepted meanwhile.
class BoundedThreads : public httplib::TaskQueue {
 public:
  BoundedThreads(int threads, int connections)
      : room_(connections), pool_(threads) {}

  void enqueue(std::function<void()> task) override;
  void shutdown() override { pool_.shutdown(); }

 private:
  std::counting_semaphore<> room_;
  httplib::ThreadPool pool_;
};

}  // namespace lossd::http

#endif  // LOSSD_SERVER_HTTP_SLOW_CLIENTS_H_
