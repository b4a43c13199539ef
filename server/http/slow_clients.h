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

// A connection that may take so long and send so much, in all: the library's
// own timeouts begin anew with every byte. Does not own the socket.
class BoundedStream : public httplib::Stream {
 public:
  BoundedStream(socket_t socket, std::chrono::milliseconds patience,
                int64_t max_received_bytes);

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
  const std::chrono::steady_clock::time_point deadline_;
  int64_t bytes_left_;
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
