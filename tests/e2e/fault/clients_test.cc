// Callers that vanish, stall, or are too many: memory comes back, and others
// are served meanwhile.
#include <arpa/inet.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "tests/e2e/fault/duration.h"
#include "tests/e2e/fault/load.h"
#include "tests/e2e/lossd_process.h"
#include "tests/e2e/requests.h"
#include "tests/e2e/wire.h"

namespace lossd {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr char kPath[] = "/lossd.v1.LossService/ComputeLoss";

class ClientsTest : public ::testing::Test {
 protected:
  ClientsTest() {
    EXPECT_TRUE(ComputeLoss(channel_, MakeRequest(2, 3)).status.ok());
    idle_bytes_ = lossd_.ResidentBytes();
  }

  // Waits until memory is back: lossd keeps what is free for 2 s.
  void ExpectMemoryBack() {
    const int64_t bound = idle_bytes_ + kMaxLeft;
    const absl::Time end = absl::Now() + absl::Seconds(20);
    while (lossd_.ResidentBytes() > bound && absl::Now() < end) {
      absl::SleepFor(absl::Milliseconds(20));
    }
    EXPECT_LE(lossd_.ResidentBytes(), bound);
    std::printf("memory: idle %ld MiB, peak %ld, now %ld\n",
                static_cast<long>(idle_bytes_ / kMiB),
                static_cast<long>(lossd_.PeakResidentBytes() / kMiB),
                static_cast<long>(lossd_.ResidentBytes() / kMiB));
  }

  // A sanitizer keeps what was freed.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  static constexpr int64_t kMaxLeft = 1024 * kMiB;
#else
  static constexpr int64_t kMaxLeft = 16 * kMiB;
#endif

  LossdProcess lossd_{{"--listen", "127.0.0.1:0"}};
  const std::string address_ = lossd_.WaitForAddress();
  std::shared_ptr<grpc::Channel> channel_ = Connect(address_);
  int64_t idle_bytes_ = 0;
};

// A call that goes as far as it is let, and is given up.
class Vanishing {
 public:
  Vanishing(const std::shared_ptr<grpc::Channel>& channel,
            const grpc::ByteBuffer& request)
      : stub_(channel) {
    stream_ = stub_.PrepareCall(&context_, kPath, &queue_);
    stream_->StartCall(this);
    Wait();
    stream_->WriteLast(request, {}, this);
  }

  // Waits until the request is sent.
  void WaitUntilSent() { Wait(); }

  ~Vanishing() {
    context_.TryCancel();
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

 private:
  void Wait() {
    void* tag = nullptr;
    bool ok = false;
    queue_.Next(&tag, &ok);
  }

  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  grpc::GenericStub stub_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

TEST_F(ClientsTest, ThatVanishInUploadOrInComputeLeaveNothing) {
  const std::string bytes = MakeRequest(200, 20000).SerializeAsString();
  const grpc::Slice slice(bytes);
  const grpc::ByteBuffer request(&slice, 1);
  int in_upload = 0;
  int in_compute = 0;
  const KnownBatch small(32, 27);
  Load others(small, {.target = address_, .callers = 1});
  const absl::Time end = absl::Now() + FaultDuration();
  do {
    { const Vanishing call(channel_, request); }
    ++in_upload;
    {
      Vanishing call(channel_, request);
      call.WaitUntilSent();
    }
    ++in_compute;
  } while (absl::Now() < end);
  others.Stop();
  std::printf("vanished: %d in upload, %d in compute; %ld other calls\n",
              in_upload, in_compute, static_cast<long>(others.succeeded()));
  EXPECT_GT(others.succeeded(), 0);
  EXPECT_EQ(others.failed(), 0);
  EXPECT_EQ(others.wrong(), 0);
  ExpectMemoryBack();
}

// Their answers wait in the server, a window's worth of each on the way.
TEST_F(ClientsTest, ThatDoNotReadTheirAnswersHoldNobodyUp) {
  const std::string bytes = MakeRequest(100, 10000).SerializeAsString();
  const grpc::Slice slice(bytes);
  const grpc::ByteBuffer request(&slice, 1);
  constexpr int kCalls = 20;
  const KnownBatch small(32, 27);
  {
    std::vector<std::unique_ptr<Vanishing>> stalled;
    for (int i = 0; i < kCalls; ++i) {
      stalled.push_back(std::make_unique<Vanishing>(channel_, request));
      stalled.back()->WaitUntilSent();
    }
    Load others(small, {.target = address_, .callers = 1});
    while (others.succeeded() < 500) absl::SleepFor(absl::Milliseconds(1));
    others.Stop();
    EXPECT_EQ(others.failed(), 0);
    std::printf("slow readers: %d, %ld other calls\n", kCalls,
                static_cast<long>(others.succeeded()));
  }
  ExpectMemoryBack();
}

TEST_F(ClientsTest, OfAThousandConnectionsAreServed) {
  constexpr int kConnections = 1000;
  // This process's own may be 1,024 files.
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  int64_t port = 0;
  ASSERT_TRUE(
      absl::SimpleAtoi(address_.substr(address_.rfind(':') + 1), &port));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::vector<int> sockets;
  for (int i = 0; i < kConnections; ++i) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_GE(fd, 0) << "after " << i;
    ASSERT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)),
              0)
        << "connection " << i;
    sockets.push_back(fd);
  }
  const KnownBatch small(32, 27);
  Load others(small, {.target = address_, .callers = 1});
  while (others.succeeded() < 200) absl::SleepFor(absl::Milliseconds(1));
  others.Stop();
  EXPECT_EQ(others.failed(), 0);
  std::printf("connections: %d open, %ld calls beside them\n", kConnections,
              static_cast<long>(others.succeeded()));
  for (const int fd : sockets) close(fd);
  ExpectMemoryBack();
}

}  // namespace
}  // namespace lossd
