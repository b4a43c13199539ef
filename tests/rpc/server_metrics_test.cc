// What a server's metrics say of calls.
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <thread>

#include "tests/rpc/requests.h"
#include "tests/rpc/test_server.h"

namespace lossd::rpc {
namespace {

constexpr char kComputeLoss[] = "/lossd.v1.LossService/ComputeLoss";

// The value of `sample`, as in "lossd_ready" or
// "lossd_refusals_total{reason=\"DRAINING\"}"; -1 where there is none.
double ValueOf(TestServer& server, const std::string& sample) {
  const std::string text = "\n" + server.server().MetricsText();
  const std::string start = "\n" + sample + " ";
  const size_t found = text.find(start);
  return found == std::string::npos
             ? -1
             : std::stod(text.substr(found + start.size()));
}

double Calls(TestServer& server, const std::string& method,
             const std::string& code) {
  return ValueOf(server, "lossd_calls_total{code=\"" + code + "\",method=\"" +
                             method + "\"}");
}

double Refusals(TestServer& server, const std::string& reason) {
  return ValueOf(server, "lossd_refusals_total{reason=\"" + reason + "\"}");
}

double PhaseCount(TestServer& server, const std::string& phase) {
  return ValueOf(server,
                 "lossd_call_phase_seconds_count{phase=\"" + phase + "\"}");
}

void WaitFor(const std::function<bool()>& condition) {
  while (!condition()) std::this_thread::yield();
}

TEST(ServerMetricsTest, CountACallBeforeItsCallerHearsOfItsEnd) {
  TestServer server;
  const v1::ComputeLossRequest request = RequestWith();
  const v1::ComputeLossResponse response = server.ComputeLoss(request);
  EXPECT_EQ(Calls(server, "ComputeLoss", "OK"), 1);
  EXPECT_EQ(Calls(server, "GetServerInfo", "OK"), 0);
  EXPECT_EQ(ValueOf(server, "lossd_received_bytes_total"),
            request.ByteSizeLong());
  EXPECT_EQ(ValueOf(server, "lossd_sent_bytes_total"), response.ByteSizeLong());
  EXPECT_EQ(ValueOf(server, "lossd_computed_rows_total"), 2);
  EXPECT_EQ(ValueOf(server, "lossd_computed_logits_total"), 6);
  server.GetServerInfo();
  EXPECT_EQ(Calls(server, "GetServerInfo", "OK"), 1);
}

TEST(ServerMetricsTest, ObserveEveryPhaseOfACall) {
  TestServer server;
  server.ComputeLoss(RequestWith());
  WaitFor([&] { return PhaseCount(server, "send") == 1; });
  EXPECT_EQ(PhaseCount(server, "receive"), 1);
  EXPECT_EQ(PhaseCount(server, "queue"), 1);
  EXPECT_EQ(PhaseCount(server, "compute"), 1);
}

TEST(ServerMetricsTest, ObserveALargeCallInTheQueueOfThePool) {
  TestServer server;
  // More than a poller computes by itself.
  server.ComputeLoss(ZerosRequest(1024, 256));
  WaitFor([&] { return PhaseCount(server, "send") == 1; });
  EXPECT_GT(ValueOf(server, "lossd_call_phase_seconds_sum{phase=\"queue\"}"),
            0);
  EXPECT_EQ(ValueOf(server, "lossd_computed_logits_total"), 1024 * 256);
}

TEST(ServerMetricsTest, CountAStreamOnceAndItsMessagesBytes) {
  TestServer server;
  v1::StreamLossRequest header;
  *header.mutable_header() = ZerosRequest(4, 3);
  header.mutable_header()->mutable_logits()->clear_raw();
  v1::StreamLossRequest chunk;
  chunk.mutable_chunk()->set_raw(std::string(2 * 3 * sizeof(float), '\0'));
  grpc::ClientContext context;
  const auto stream = server.stub().StreamLoss(&context);
  stream->Write(header);
  stream->Write(chunk);
  stream->Write(chunk);
  stream->WritesDone();
  size_t sent_bytes = 0;
  for (v1::StreamLossResponse response; stream->Read(&response);) {
    sent_bytes += response.ByteSizeLong();
  }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(Calls(server, "StreamLoss", "OK"), 1);
  EXPECT_EQ(ValueOf(server, "lossd_received_bytes_total"),
            header.ByteSizeLong() + 2 * chunk.ByteSizeLong());
  EXPECT_EQ(ValueOf(server, "lossd_sent_bytes_total"), sent_bytes);
  EXPECT_EQ(ValueOf(server, "lossd_computed_rows_total"), 4);
  WaitFor([&] { return PhaseCount(server, "send") == 1; });
  EXPECT_EQ(PhaseCount(server, "receive"), 1);
  EXPECT_EQ(PhaseCount(server, "compute"), 1);
}

TEST(ServerMetricsTest, CountErrorsByCodeAndComputeNothing) {
  TestServer server;
  EXPECT_FALSE(server.StatusOf(RequestWith("labels { shape: 3 }")).ok());
  EXPECT_EQ(Calls(server, "ComputeLoss", "INVALID_ARGUMENT"), 1);
  EXPECT_EQ(Calls(server, "ComputeLoss", "OK"), 0);
  EXPECT_EQ(ValueOf(server, "lossd_computed_rows_total"), 0);
  WaitFor([&] { return PhaseCount(server, "compute") == 1; });
  EXPECT_EQ(PhaseCount(server, "send"), 0);
}

TEST(ServerMetricsTest, CountARefusalByItsReason) {
  Options options = TestOptions();
  options.max_request_bytes = 10;
  TestServer server(options);
  EXPECT_EQ(Refusals(server, "REQUEST_TOO_LARGE"), 0);
  EXPECT_FALSE(server.StatusOf(RequestWith()).ok());
  EXPECT_EQ(Refusals(server, "REQUEST_TOO_LARGE"), 1);
  EXPECT_EQ(Calls(server, "ComputeLoss", "RESOURCE_EXHAUSTED"), 1);
}

TEST(ServerMetricsTest, TellARefusedCallerItsRequestId) {
  Options options = TestOptions();
  options.max_request_bytes = 10;
  TestServer server(options);
  for (const std::string id : {"", "my-id", "my id"}) {
    grpc::ClientContext context;
    if (!id.empty()) context.AddMetadata("x-request-id", id);
    v1::ComputeLossResponse response;
    EXPECT_FALSE(
        server.stub().ComputeLoss(&context, RequestWith(), &response).ok());
    const auto& trailers = context.GetServerTrailingMetadata();
    ASSERT_EQ(trailers.count("x-request-id"), 1U);
    const auto told = trailers.find("x-request-id")->second;
    if (id == "my-id") {
      EXPECT_EQ(std::string(told.data(), told.size()), id);
    } else {
      EXPECT_EQ(told.size(), 16U);
    }
  }
}

TEST(ServerMetricsTest, ShowMemoryThatIsReservedAndCallsInFlight) {
  Options options = TestOptions();
  options.memory_budget_bytes = int64_t{64} << 20;
  TestServer server(options);
  EXPECT_EQ(ValueOf(server, "lossd_memory_budget_bytes"), 64 << 20);
  EXPECT_EQ(ValueOf(server, "lossd_memory_reserved_bytes"), 0);
  RawCall call(server.channel(), kComputeLoss);
  WaitFor([&] { return ValueOf(server, "lossd_calls_in_flight") == 1; });
  WaitFor([&] {
    return ValueOf(server, "lossd_memory_reserved_bytes") == 16 << 20;
  });
  call.HalfClose();
  EXPECT_EQ(call.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  WaitFor([&] { return ValueOf(server, "lossd_memory_reserved_bytes") == 0; });
}

TEST(ServerMetricsTest, SayWhetherTheServerIsReady) {
  TestServer server;
  EXPECT_EQ(ValueOf(server, "lossd_ready"), 1);
  EXPECT_TRUE(server.server().Drain());
  EXPECT_EQ(ValueOf(server, "lossd_ready"), 0);
  EXPECT_EQ(server.StatusOf(RequestWith()).error_code(),
            grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Refusals(server, "DRAINING"), 1);
}

TEST(ServerMetricsTest, LeaveHealthChecksOut) {
  TestServer server;
  server.Health("");
  EXPECT_EQ(ValueOf(server, "lossd_received_bytes_total"), 0);
  EXPECT_EQ(ValueOf(server, "lossd_sent_bytes_total"), 0);
  EXPECT_EQ(PhaseCount(server, "queue"), 0);
}

}  // namespace
}  // namespace lossd::rpc
