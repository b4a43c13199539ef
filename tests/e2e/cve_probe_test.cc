// What is known against the gRPC that Debian has, tried on lossd: it stays up.
// docs/security.md has what each attack achieves short of that.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/e2e/http2.h"
#include "tests/e2e/lossd_process.h"
#include "tests/e2e/requests.h"
#include "tests/e2e/wire.h"

namespace lossd {
namespace {

using http2::Connection;
using http2::FrameType;

// HTTP/2's own limit of a frame, unless the server allows more.
constexpr size_t kFrameBytes = 16384;

class CveProbeTest : public testing::Test {
 protected:
  // A new connection is served, and the server ends as ever.
  void TearDown() override {
    EXPECT_TRUE(ComputeLoss(Connect(address_), MakeRequest(2, 3)).status.ok());
    lossd_.Signal(SIGTERM);
    EXPECT_EQ(lossd_.WaitForExit(), 0) << lossd_.Stderr();
  }

  LossdProcess lossd_{{"--listen", "127.0.0.1:0"}};
  const std::string address_ = lossd_.WaitForAddress();
};

// CVE-2023-1428: a value that is discarded when it is parsed, then headers over
// gRPC's limit, lead to abort(). That the limit was passed is seen by the
// answer.
TEST_F(CveProbeTest, DiscardedValuesInTooManyHeaders) {
  const std::string call = http2::CallHeaders(kComputeLossPath);
  const std::string too_many =
      http2::StoredHeader("x-filler", std::string(4000, 'f')) +
      std::string(10, http2::kStoredLast);
  for (const std::string& headers :
       {call, call + http2::Header("te", "x"),
        http2::CallHeaders(kComputeLossPath, "x"),
        call + http2::Header("grpclb_client_stats", "x")}) {
    Connection connection(address_);
    connection.Send(http2::Preface());
    ASSERT_TRUE(connection.ReadUntil(""));
    connection.Send(http2::SettingsAck() +
                    http2::Frame(FrameType::kHeaders,
                                 http2::kEndHeaders | http2::kEndStream, 1,
                                 headers + too_many));
    EXPECT_TRUE(connection.ReadUntil("metadata size exceeds limit"));
  }
}

// CVE-2023-33953: a header's value is taken in as it comes, however long.
TEST_F(CveProbeTest, ValueOfMegabytes) {
  constexpr size_t kBytes = size_t{4} << 20;
  Connection connection(address_);
  connection.Send(http2::Preface() +
                  http2::Frame(FrameType::kHeaders, 0, 1,
                               http2::CallHeaders(kComputeLossPath) +
                                   http2::HeaderOfLength("x-long", kBytes)));
  const std::string part = http2::Frame(FrameType::kContinuation, 0, 1,
                                        std::string(kFrameBytes, 'f'));
  for (size_t sent = 0; sent < kBytes && connection.Send(part);
       sent += kFrameBytes) {
  }
  connection.AwaitEnd();
}

// CVE-2023-33953: an integer may be padded with bytes that say nothing.
TEST_F(CveProbeTest, IntegerOfManyBytes) {
  Connection connection(address_);
  connection.Send(http2::Preface() +
                  http2::Frame(FrameType::kHeaders, 0, 1,
                               http2::CallHeaders(kComputeLossPath) + "\xff"));
  const std::string part = http2::Frame(FrameType::kContinuation, 0, 1,
                                        std::string(kFrameBytes, '\x80'));
  for (int i = 0; i < 64 && connection.Send(part); ++i) {
  }
  connection.AwaitEnd();
}

// CVE-2023-33953: a header in many frames is parsed from its start each time.
TEST_F(CveProbeTest, HeaderInAFramePerByte) {
  Connection connection(address_);
  connection.Send(http2::Preface() +
                  http2::Frame(FrameType::kHeaders, 0, 1,
                               http2::CallHeaders(kComputeLossPath) +
                                   http2::HeaderOfLength("x-long", 20'000)));
  const std::string part = http2::Frame(FrameType::kContinuation, 0, 1, "f");
  for (int i = 0; i < 20'000 && connection.Send(part); ++i) {
  }
  connection.AwaitEnd();
}

// CVE-2024-7246: after a header that cannot be parsed those that are put into
// the table in the same call cannot be used by the next one on the connection:
// behind a proxy, somebody else's.
TEST_F(CveProbeTest, HeaderStoredAfterADiscardedOne) {
  const std::string call = http2::CallHeaders(kComputeLossPath);
  constexpr uint8_t kWhole = http2::kEndHeaders | http2::kEndStream;
  Connection connection(address_);
  connection.Send(http2::Preface());
  ASSERT_TRUE(connection.ReadUntil(""));
  connection.Send(http2::SettingsAck() +
                  http2::Frame(FrameType::kHeaders, kWhole, 1,
                               call + http2::StoredHeader("te", "x") +
                                   http2::StoredHeader("x-good", "v")));
  EXPECT_TRUE(connection.ReadUntil("Bad :te header"));
  // Complete, but for its message.
  connection.Send(http2::Frame(
      FrameType::kHeaders, kWhole, 3,
      call + http2::Header("te", "trailers") + http2::kStoredLast));
  EXPECT_TRUE(connection.ReadUntil("without a request message"));
}

// CVE-2023-44487: calls that are given up at once, over and over.
TEST_F(CveProbeTest, CallsThatAreResetAtOnce) {
  Connection connection(address_);
  connection.Send(http2::Preface());
  for (uint32_t stream = 1; stream < 100'000; stream += 2) {
    if (!connection.Send(http2::Frame(FrameType::kHeaders, http2::kEndHeaders,
                                      stream,
                                      http2::CallHeaders(kComputeLossPath)) +
                         http2::Frame(FrameType::kRstStream, 0, stream,
                                      std::string("\0\0\0\x8", 4)))) {
      break;
    }
  }
  connection.AwaitEnd();
}

// Makes processes that are started meanwhile inherit a bound on their open
// files.
class FileLimit {
 public:
  explicit FileLimit(rlim_t files) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit limit = {files, before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  ~FileLimit() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

// CVE-2023-4785: gRPC accepts nobody any more once a connection came that no
// file descriptor was left for. lossd allows itself as many as the system lets
// it have: more than a shell does.
TEST(CveProbeManyConnectionsTest, TakesMoreThanItWasStartedToOpen) {
  std::unique_ptr<LossdProcess> lossd;
  {
    const FileLimit limit(64);
    lossd = std::make_unique<LossdProcess>(
        LossdProcess::Strings{"--listen", "127.0.0.1:0"});
  }
  const std::string address = lossd->WaitForAddress();
  {
    std::vector<std::unique_ptr<Connection>> connections;
    for (int i = 0; i < 200; ++i) {
      connections.push_back(std::make_unique<Connection>(address));
      connections.back()->Send(http2::Preface());
    }
    EXPECT_TRUE(ComputeLoss(Connect(address), MakeRequest(2, 3)).status.ok());
  }
  EXPECT_TRUE(ComputeLoss(Connect(address), MakeRequest(2, 3)).status.ok());
  lossd->Signal(SIGTERM);
  EXPECT_EQ(lossd->WaitForExit(), 0) << lossd->Stderr();
}

}  // namespace
}  // namespace lossd
