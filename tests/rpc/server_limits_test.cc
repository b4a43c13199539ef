// Sizes, deadlines and cancellation.
#include <gmock/gmock.h>
#include <grpcpp/alarm.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tests/rpc/requests.h"
#include "tests/rpc/test_server.h"

namespace lossd::rpc {
namespace {

using ::testing::Contains;
using ::testing::IsSupersetOf;
using ::testing::Pair;

constexpr char kComputeLoss[] = "/lossd.v1.LossService/ComputeLoss";

Options OptionsWithLimit(int64_t max_request_bytes) {
  Options options = TestOptions();
  options.max_request_bytes = max_request_bytes;
  return options;
}

TEST(RequestSizeTest, IsFineAtTheLimit) {
  const v1::ComputeLossRequest request = RequestWith();
  TestServer server(OptionsWithLimit(request.ByteSizeLong()));
  EXPECT_EQ(server.ComputeLoss(request).row_count(), 2);
}

TEST(RequestSizeTest, IsRefusedOneByteLater) {
  const v1::ComputeLossRequest request = RequestWith();
  const int64_t bytes = static_cast<int64_t>(request.ByteSizeLong());
  TestServer server(OptionsWithLimit(bytes - 1));
  const grpc::Status status = server.StatusOf(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.error_message(), "request of " + std::to_string(bytes) +
                                        " bytes, this server takes at most " +
                                        std::to_string(bytes - 1) +
                                        "; send it in chunks by StreamLoss");
  EXPECT_EQ(ErrorInfoOf(status).reason(), "REQUEST_TOO_LARGE");
  EXPECT_THAT(
      ErrorInfoOf(status).metadata(),
      IsSupersetOf({Pair("request_bytes", std::to_string(bytes)),
                    Pair("max_request_bytes", std::to_string(bytes - 1))}));
}

// gRPC's own limits, 4 MiB unless set, must not answer first: they know no
// details.
TEST(RequestSizeTest, IsRefusedWithDetailsHoweverLarge) {
  TestServer server(OptionsWithLimit(1000));
  constexpr size_t kBytes = 100'000'000;
  const grpc::Status status =
      StatusOfBytes(server.channel(), kComputeLoss, std::string(kBytes, '\0'));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ErrorInfoOf(status).reason(), "REQUEST_TOO_LARGE");
  EXPECT_THAT(ErrorInfoOf(status).metadata(),
              IsSupersetOf({Pair("request_bytes", "100000000"),
                            Pair("max_request_bytes", "1000")}));
}

TEST(RequestSizeTest, IsToldToClients) {
  TestServer server(OptionsWithLimit(12345));
  EXPECT_EQ(server.GetServerInfo().max_request_bytes(), 12345);
}

TEST(DeadlineTest, EndsACallThatCameTooLate) {
  TestServer server;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() -
                       std::chrono::seconds(1));
  v1::ComputeLossResponse response;
  EXPECT_EQ(server.stub()
                .ComputeLoss(&context, RequestWith(), &response)
                .error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(server.server().Drain());
}

TEST(DeadlineTest, EndsACallWhoseMessageDoesNotCome) {
  TestServer server;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(50));
  const auto stream = server.stub().StreamLoss(&context);
  v1::StreamLossResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  // Drains without force: the server has ended the call, too.
  EXPECT_TRUE(server.server().Drain());
}

TEST(DeadlineTest, PassesWhereTheComputationTakesLonger) {
  TestServer server;
  const v1::ComputeLossRequest request = ZerosRequest(4096, 1024);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(1));
  v1::ComputeLossResponse response;
  EXPECT_EQ(
      server.stub().ComputeLoss(&context, request, &response).error_code(),
      grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(server.server().Drain());
}

// A request whose announced size takes longer than its caller waits, as the
// calls before it show, is not even read.
TEST(DeadlineTest, RefusesAtOnceWhatCannotBeInTime) {
  Options options = TestOptions();
  options.compute_threads = 1;
  TestServer server(options);
  // A slow loss: far below 500 MB/s.
  v1::ComputeLossRequest request = ZerosRequest(512, 512);
  request.mutable_loss()->mutable_softmax_cross_entropy()->set_logit_softcap(
      30.0);
  server.ComputeLoss(request);
  grpc::ClientContext context;
  context.AddMetadata("lossd-request-bytes",
                      std::to_string(kLargestMaxRequestBytes));
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::seconds(4));
  v1::ComputeLossResponse response;
  const grpc::Status status =
      server.stub().ComputeLoss(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(ErrorInfoOf(status).reason(), "DEADLINE_TOO_SHORT");
  EXPECT_THAT(
      ErrorInfoOf(status).metadata(),
      Contains(Pair("request_bytes", std::to_string(kLargestMaxRequestBytes))));
}

// Large calls, more of them than threads, all cancelled while in flight.
TEST(CancellationTest, FreesTheThreadsForOtherCalls) {
  Options options = TestOptions();
  options.compute_threads = 1;
  TestServer server(options);
  const v1::ComputeLossRequest request = ZerosRequest(4096, 1024);
  grpc::CompletionQueue queue;
  struct Pending {
    grpc::ClientContext context;
    grpc::Status status;
    v1::ComputeLossResponse response;
    std::unique_ptr<grpc::ClientAsyncResponseReader<v1::ComputeLossResponse>>
        reader;
  };
  std::vector<std::unique_ptr<Pending>> calls;
  for (int i = 0; i < 8; ++i) {
    calls.push_back(std::make_unique<Pending>());
    Pending& call = *calls.back();
    call.reader =
        server.stub().AsyncComputeLoss(&call.context, request, &queue);
    call.reader->Finish(&call.response, &call.status, &call);
  }
  // The first is under way when it is answered; the rest queue behind it.
  void* tag;
  bool ok;
  ASSERT_TRUE(queue.Next(&tag, &ok));
  for (const auto& call : calls) call->context.TryCancel();
  for (size_t i = 1; i < calls.size(); ++i) ASSERT_TRUE(queue.Next(&tag, &ok));
  for (const auto& call : calls) {
    EXPECT_THAT(
        call->status.error_code(),
        testing::AnyOf(grpc::StatusCode::OK, grpc::StatusCode::CANCELLED));
  }
  EXPECT_EQ(server.ComputeLoss(RequestWith()).row_count(), 2);
  EXPECT_TRUE(server.server().Drain());
}

TEST(CancellationTest, EndsACallThatWaitsForItsMessage) {
  TestServer server;
  RawCall call(server.channel(), kComputeLoss);
  call.context().TryCancel();
  EXPECT_EQ(call.Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(server.server().Drain());
}

}  // namespace
}  // namespace lossd::rpc
