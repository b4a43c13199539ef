// How often a call's bytes are copied: not once between gRPC and the core. A
// program of its own, since it counts what everything allocates.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "server/rpc/loss_service.h"
#include "server/rpc/wire/buffer.h"
#include "tests/rpc/requests.h"

namespace {

std::atomic<size_t> allocated_bytes{0};

void* Counted(size_t size) {
  allocated_bytes += size;
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(size_t size) { return Counted(size); }
void* operator new[](size_t size) { return Counted(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace lossd::rpc {
namespace {

constexpr int64_t kRows = 512;
constexpr int64_t kClasses = 4096;
constexpr size_t kBytes = kRows * kClasses * sizeof(float);

// What a call may allocate beside its tensors, whatever their size: parsed
// fields, labels, pieces of 16 bytes for slices of 16 KiB, a row that lies in
// two of them.
constexpr size_t kSmall = 256 << 10;

// A message in slices of `slice_bytes`, as frames cut it.
grpc::ByteBuffer InSlices(const std::string& message, size_t slice_bytes) {
  std::vector<grpc::Slice> slices;
  for (size_t at = 0; at < message.size(); at += slice_bytes) {
    slices.emplace_back(message.substr(at, slice_bytes));
  }
  return {slices.data(), slices.size()};
}

size_t AllocatedBy(const LossService& service, int method,
                   const std::string& message, grpc::ByteBuffer& answer) {
  grpc::ByteBuffer request = InSlices(message, 16384);
  const size_t before = allocated_bytes;
  auto response = service.Run(method, request, [] { return absl::OkStatus(); });
  EXPECT_TRUE(response.ok()) << response.status();
  if (response.ok()) answer = *std::move(response);
  EXPECT_EQ(request.Length(), 0u);
  return allocated_bytes - before;
}

class CopiesTest : public ::testing::Test {
 protected:
  CopiesTest() { EmptyBufferPool(); }
  static void EmptyBufferPool() { wire::EmptyBufferPool(); }

  // The call twice: the second finds threads and pool as a server has them.
  size_t AllocatedBy(int method, const std::string& message) {
    grpc::ByteBuffer answer;
    rpc::AllocatedBy(service_, method, message, answer);
    const size_t first = answer.Length();
    answer.Clear();
    const size_t bytes = rpc::AllocatedBy(service_, method, message, answer);
    EXPECT_EQ(answer.Length(), first);
    answer_bytes_ = first;
    return bytes;
  }

  compute::ThreadPool pool_{1};
  const LossService service_{Options(), pool_};
  size_t answer_bytes_ = 0;
};

TEST_F(CopiesTest, AreNoneOfRawLogitsAndTheirGradient) {
  const std::string message = ZerosRequest(kRows, kClasses).SerializeAsString();
  EXPECT_LT(AllocatedBy(0, message), kSmall);
  EXPECT_GE(answer_bytes_, kBytes);
  // The gradient came out of the pool and went back to it.
  EXPECT_GE(wire::PooledBytes(), kBytes);
  EXPECT_LT(wire::PooledBytes(), 2 * kBytes);
}

TEST_F(CopiesTest, AreNoneOfFloatValues) {
  v1::ComputeLossRequest request = ZerosRequest(kRows, kClasses);
  request.mutable_logits()->mutable_float_values()->mutable_values()->Resize(
      kRows * kClasses, 0);
  EXPECT_LT(AllocatedBy(0, request.SerializeAsString()), kSmall);
  EXPECT_GE(answer_bytes_, kBytes);
}

TEST_F(CopiesTest, AreNoneOfFloatTargets) {
  v1::ComputeLossRequest request = ZerosRequest(kRows, kClasses);
  *request.mutable_labels() = request.logits();
  request.mutable_loss()->mutable_squared_error();
  EXPECT_LT(AllocatedBy(0, request.SerializeAsString()), kSmall);
}

TEST_F(CopiesTest, AreNoneOfAHessiansVector) {
  v1::ComputeHessianVectorProductRequest request;
  *request.mutable_base() = ZerosRequest(kRows, kClasses);
  *request.mutable_vector() = request.base().logits();
  EXPECT_LT(AllocatedBy(2, request.SerializeAsString()), kSmall);
  EXPECT_GE(answer_bytes_, kBytes);
}

TEST_F(CopiesTest, AreNoneOfAStreamsChunks) {
  v1::StreamLossRequest header, chunk;
  *header.mutable_header() = ZerosRequest(kRows, kClasses);
  chunk.mutable_chunk()->set_raw(header.header().logits().raw());
  header.mutable_header()->mutable_logits()->clear_contents();
  const auto batch = service_.NewStreamedBatch();
  grpc::ByteBuffer first = InSlices(header.SerializeAsString(), 16384);
  grpc::ByteBuffer rows = InSlices(chunk.SerializeAsString(), 16384);
  const auto go_on = [] { return absl::OkStatus(); };
  ASSERT_TRUE(batch->Take(first, go_on).ok());
  const size_t before = allocated_bytes;
  const auto answer = batch->Take(rows, go_on);
  EXPECT_LT(allocated_bytes - before, kSmall);
  ASSERT_TRUE(answer.ok() && answer->has_value());
  EXPECT_GE((*answer)->Length(), kBytes);
  EXPECT_TRUE(batch->is_complete());
}

// The row that straddles slices is all that is gathered, once per thread.
TEST_F(CopiesTest, IsOneOfARowThatLiesInTwoSlices) {
  std::string message =
      RequestWith("row_weights { shape: 2 float_values { values: [ 1, 2 ] } }")
          .SerializeAsString();
  grpc::ByteBuffer whole;
  rpc::AllocatedBy(service_, 0, message, whole);
  for (size_t slice_bytes = 1; slice_bytes < 20; ++slice_bytes) {
    grpc::ByteBuffer request = InSlices(message, slice_bytes);
    auto cut = service_.Run(0, request, [] { return absl::OkStatus(); });
    ASSERT_TRUE(cut.ok()) << cut.status();
    EXPECT_EQ(BytesOf(*cut), BytesOf(whole));
  }
}

}  // namespace
}  // namespace lossd::rpc
