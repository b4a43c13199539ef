// HTTP/2 written by hand, for what no library would send.
#ifndef LOSSD_TESTS_E2E_HTTP2_H_
#define LOSSD_TESTS_E2E_HTTP2_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace lossd::http2 {

// What every client says first, and an empty SETTINGS frame.
std::string Preface();

// What is said to the server's SETTINGS; its limits count from then on.
std::string SettingsAck();

enum class FrameType : uint8_t {
  kHeaders = 1,
  kRstStream = 3,
  kContinuation = 9
};
inline constexpr uint8_t kEndStream = 1;
inline constexpr uint8_t kEndHeaders = 4;

// A frame of `payload`, of at most 16 MiB.
std::string Frame(FrameType type, uint8_t flags, uint32_t stream,
                  std::string_view payload);

// A header in HPACK's plainest form: a literal, not put into the table.
std::string Header(std::string_view name, std::string_view value);

// The same, put into the table, and that of the table's newest entry once more.
std::string StoredHeader(std::string_view name, std::string_view value);
inline constexpr char kStoredLast = '\xbe';

// The same as Header, up to its value: of that only the length is said.
std::string HeaderOfLength(std::string_view name, uint64_t value_bytes);

// The pseudo-headers and the content type of a gRPC call of `path`.
std::string CallHeaders(std::string_view path,
                        std::string_view scheme = "http");

// A connection, closed in the end.
class Connection {
 public:
  // To HOST:PORT, an IPv4 address in digits.
  explicit Connection(const std::string& address);
  ~Connection();

  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // False once the other side has closed.
  bool Send(std::string_view bytes);
  // Reads until `text` was among what came; false once the other side has
  // closed. Empty: until anything came.
  bool ReadUntil(std::string_view text);
  // Reads until the other side closes, having said that nothing more will come.
  void AwaitEnd();

 private:
  int socket_ = -1;
};

}  // namespace lossd::http2

#endif  // LOSSD_TESTS_E2E_HTTP2_H_
