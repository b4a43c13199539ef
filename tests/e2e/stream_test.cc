// StreamLoss of batches larger than the server's memory, and of callers that
// stop reading.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

#include "lossd/v1/loss_service.grpc.pb.h"
#include "tests/e2e/lossd_process.h"
#include "tests/e2e/requests.h"
#include "tests/e2e/stream_messages.h"
#include "tests/e2e/wire.h"

namespace lossd {
namespace {

// ThreadSanitizer's own memory counts, too.
#ifdef __SANITIZE_THREAD__
constexpr int64_t kMaxGrowth = 128 * kMiB;
#else
constexpr int64_t kMaxGrowth = 64 * kMiB;
#endif

class StreamTest : public ::testing::Test {
 protected:
  StreamTest() {
    // Whatever the first calls set up is there before memory is measured.
    EXPECT_TRUE(ComputeLoss(channel_, MakeRequest(2, 3)).status.ok());
    idle_bytes_ = lossd_.ResidentBytes();
  }

  int64_t GrownBytes() { return lossd_.PeakResidentBytes() - idle_bytes_; }

  LossdProcess lossd_{{"--listen", "127.0.0.1:0"}};
  const std::string address_ = lossd_.WaitForAddress();
  std::shared_ptr<grpc::Channel> channel_ = Connect(address_);
  std::unique_ptr<v1::LossService::Stub> stub_ =
      v1::LossService::NewStub(channel_);
  int64_t idle_bytes_ = 0;
};

TEST_F(StreamTest, TakesABatchLargerThanItsMemory) {
  constexpr int64_t kChunks = 512;
  grpc::ClientContext context;
  const auto stream = stub_->StreamLoss(&context);
  std::thread writer([&] {
    EXPECT_TRUE(stream->Write(StreamHeader(kChunks)));
    const v1::StreamLossRequest chunk = StreamChunk();
    for (int64_t i = 0; i < kChunks; ++i) EXPECT_TRUE(stream->Write(chunk));
    EXPECT_TRUE(stream->WritesDone());
  });
  std::string first;
  int64_t chunks = 0;
  bool has_summary = false;
  v1::StreamLossResponse response;
  while (stream->Read(&response)) {
    if (response.has_summary()) {
      has_summary = true;
      EXPECT_EQ(response.summary().row_count(), kChunks * kChunkRows);
      EXPECT_NEAR(response.summary().loss(), 11.090354888959125, 1e-12);
      continue;
    }
    const v1::GradientChunk& gradient = response.gradient_chunk();
    EXPECT_EQ(gradient.first_row(), chunks * kChunkRows);
    if (chunks++ == 0) first = gradient.raw();
    // Equal rows have equal gradients, wherever they are in the batch.
    EXPECT_TRUE(gradient.raw() == first) << "chunk " << chunks;
  }
  writer.join();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(chunks, kChunks);
  EXPECT_TRUE(has_summary);
  std::printf("%ld MiB through %ld MiB\n", static_cast<long>(kChunks),
              static_cast<long>(GrownBytes() / kMiB));
  EXPECT_LT(GrownBytes(), kMaxGrowth);
}

TEST_F(StreamTest, ReadsNoFurtherThanItsCallerReads) {
  constexpr int64_t kChunks = 1000;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(500));
  const auto stream = stub_->StreamLoss(&context);
  EXPECT_TRUE(stream->Write(StreamHeader(kChunks)));
  const v1::StreamLossRequest chunk = StreamChunk();
  int64_t taken = 0;
  while (taken < kChunks && stream->Write(chunk)) ++taken;
  EXPECT_LT(taken, 32);
  EXPECT_LT(GrownBytes(), kMaxGrowth);
  EXPECT_EQ(stream->Finish().error_code(), grpc::DEADLINE_EXCEEDED);
  // The stream holds nothing up.
  EXPECT_TRUE(ComputeLoss(channel_, MakeRequest(2, 3)).status.ok());
  lossd_.Signal(SIGTERM);
  EXPECT_EQ(lossd_.WaitForExit(), 0);
}

// A caller that is killed says no goodbye.
TEST_F(StreamTest, OutlivesACallerThatIsKilled) {
  int out[2];
  ASSERT_EQ(pipe2(out, O_CLOEXEC), 0);
  const pid_t caller = fork();
  if (caller == 0) {
    dup2(out[1], STDOUT_FILENO);
    execl(STREAM_CALLER_BINARY, "stream_caller", address_.c_str(), nullptr);
    _exit(127);
  }
  close(out[1]);
  char said = 0;
  EXPECT_EQ(read(out[0], &said, 1), 1) << "the caller has an answer";
  kill(caller, SIGKILL);
  waitpid(caller, nullptr, 0);
  close(out[0]);
  // Drains without force: the call has ended.
  lossd_.Signal(SIGTERM);
  EXPECT_EQ(lossd_.WaitForExit(), 0);
  EXPECT_NE(lossd_.Stderr().find("event=drained left=0"), std::string::npos)
      << lossd_.Stderr();
}

}  // namespace
}  // namespace lossd
