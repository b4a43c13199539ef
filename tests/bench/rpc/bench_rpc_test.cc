// bench_rpc's pure parts, and the program itself; no figure of it.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/bench/rpc/answers.h"
#include "tests/bench/rpc/flags.h"
#include "tests/bench/rpc/measure.h"
#include "tests/bench/rpc/report.h"
#include "tests/client/process.h"

namespace lossd::bench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

ParsedFlags Parse(const std::vector<std::string>& arguments) {
  std::vector<const char*> argv = {"bench_rpc"};
  for (const std::string& argument : arguments) {
    argv.push_back(argument.c_str());
  }
  return ParseFlags(static_cast<int>(argv.size()), argv.data());
}

// Parses what must be refused with one line, and returns it.
std::string Refusal(const std::vector<std::string>& arguments) {
  ::testing::internal::CaptureStderr();
  const ParsedFlags parsed = Parse(arguments);
  std::string line = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(parsed.exit_code, 2) << line;
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
  EXPECT_THAT(line, StartsWith("bench_rpc: "));
  return line;
}

TEST(BenchRpcFlagsTest, HaveDefaults) {
  const ParsedFlags parsed = Parse({});
  ASSERT_EQ(parsed.exit_code, std::nullopt);
  EXPECT_THAT(parsed.flags.transports, ::testing::ElementsAre("tcp", "unix"));
  ASSERT_EQ(parsed.flags.payloads.size(), 4);
  EXPECT_EQ(parsed.flags.payloads[3].classes, 50257);
  EXPECT_THAT(parsed.flags.server, ::testing::EndsWith("/lossd"));
  EXPECT_FALSE(parsed.flags.json);
}

TEST(BenchRpcFlagsTest, TakeEachPayloadAndTransportGiven) {
  const ParsedFlags parsed = Parse({"--payload", "3x5", "--payload", "1x7",
                                    "--transport", "unix", "--no-python"});
  ASSERT_EQ(parsed.exit_code, std::nullopt);
  ASSERT_EQ(parsed.flags.payloads.size(), 2);
  EXPECT_EQ(parsed.flags.payloads[0].rows, 3);
  EXPECT_EQ(parsed.flags.payloads[0].classes, 5);
  EXPECT_EQ(parsed.flags.payloads[1].classes, 7);
  EXPECT_THAT(parsed.flags.transports, ::testing::ElementsAre("unix"));
  EXPECT_THAT(parsed.flags.python, IsEmpty());
}

TEST(BenchRpcFlagsTest, TakeEachBoundAndNothingPastIt) {
  const std::vector<std::vector<std::string>> taken = {
      {"--payload", "1x1"},         {"--payload", "1x499999999"},
      {"--payload", "250000000x1"}, {"--seconds", "1e-9"},
      {"--seconds", "3600"},        {"--threads", "0"},
      {"--threads", "1024"},        {"--stream-mib", "1"},
      {"--stream-mib", "1048576"}};
  for (const auto& arguments : taken) {
    EXPECT_EQ(Parse(arguments).exit_code, std::nullopt) << arguments[1];
  }
  const std::vector<std::vector<std::string>> refused = {
      {"--payload", "0x1"},
      {"--payload", "1x0"},
      {"--payload", "1x500000000"},
      {"--payload", "250000001x1"},
      {"--payload", "9223372036854775807x9223372036854775807"},
      {"--seconds", "0"},
      {"--seconds", "3600.1"},
      {"--seconds", "nan"},
      {"--threads", "-1"},
      {"--threads", "1025"},
      {"--stream-mib", "0"},
      {"--stream-mib", "1048577"}};
  for (const auto& arguments : refused) {
    EXPECT_THAT(Refusal(arguments),
                AllOf(HasSubstr(arguments[0]), HasSubstr(arguments[1])));
  }
}

TEST(BenchRpcFlagsTest, RefuseWhatIsNoValueOfTheFlag) {
  for (const char* payload :
       {"", "3", "x", "3x", "x3", "3x4x5", "3 x 4", "ax4", "-3x4", "3.5x4"}) {
    EXPECT_THAT(Refusal({"--payload=" + std::string(payload)}),
                HasSubstr("--payload"));
  }
  EXPECT_THAT(Refusal({"--transport", "udp"}), HasSubstr("udp"));
  EXPECT_THAT(Refusal({"--server", "/no/such"}), HasSubstr("/no/such"));
  EXPECT_THAT(Refusal({"--seconds", "soon"}), HasSubstr("soon"));
  EXPECT_THAT(Refusal({"--dance"}), HasSubstr("--dance"));
}

TEST(BenchRpcFlagsTest, RefuseTwoThingsToMeasureAtOnce) {
  EXPECT_THAT(Refusal({"--settings", "--idle-gaps"}), HasSubstr("--idle-gaps"));
  EXPECT_THAT(Refusal({"--stream-mib", "1", "--settings"}),
              HasSubstr("--settings"));
  EXPECT_THAT(Refusal({"--stream-mib", "1", "--idle-gaps"}),
              HasSubstr("--idle-gaps"));
}

TEST(ChannelSettingTest, IsANumberWhereItReadsAsOne) {
  const auto frame = ReadChannelSetting("grpc.http2.max_frame_size=65536");
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->name, "grpc.http2.max_frame_size");
  EXPECT_EQ(std::get<int>(frame->value), 65536);
  EXPECT_EQ(ToString(*frame), "grpc.http2.max_frame_size=65536");
  const auto target = ReadChannelSetting("grpc.optimization_target=latency");
  ASSERT_TRUE(target);
  EXPECT_EQ(std::get<std::string>(target->value), "latency");
  EXPECT_FALSE(ReadChannelSetting(""));
  EXPECT_FALSE(ReadChannelSetting("no_value"));
  EXPECT_FALSE(ReadChannelSetting("=1"));
}

v1::ComputeLossResponse Answer(int64_t rows, int64_t classes) {
  v1::ComputeLossResponse response;
  response.set_loss(1.5);
  v1::Tensor& gradient = *response.mutable_gradient();
  gradient.set_data_type(v1::DATA_TYPE_FLOAT32);
  gradient.add_shape(rows);
  gradient.add_shape(classes);
  gradient.set_raw(std::string(rows * classes * sizeof(float), '\0'));
  return response;
}

TEST(ServiceAnswerTest, GivesItsLossWhenTheGradientHasTheLogitsShape) {
  const auto loss =
      LossOfServiceAnswer({2, 3}, Answer(2, 3).SerializeAsString());
  ASSERT_TRUE(loss.ok()) << loss.status();
  EXPECT_EQ(*loss, 1.5);
}

TEST(ServiceAnswerTest, IsRefusedWhenAnythingIsWrong) {
  EXPECT_FALSE(LossOfServiceAnswer({2, 3}, "\xff\xff").ok());
  EXPECT_FALSE(LossOfServiceAnswer({2, 3}, "").ok());
  EXPECT_FALSE(
      LossOfServiceAnswer({2, 3}, Answer(3, 2).SerializeAsString()).ok());
  v1::ComputeLossResponse answer = Answer(2, 3);
  answer.clear_loss();
  EXPECT_FALSE(LossOfServiceAnswer({2, 3}, answer.SerializeAsString()).ok());
  answer = Answer(2, 3);
  answer.set_loss(std::numeric_limits<double>::quiet_NaN());
  EXPECT_FALSE(LossOfServiceAnswer({2, 3}, answer.SerializeAsString()).ok());
  answer = Answer(2, 3);
  answer.mutable_gradient()->set_data_type(v1::DATA_TYPE_FLOAT64);
  EXPECT_FALSE(LossOfServiceAnswer({2, 3}, answer.SerializeAsString()).ok());
  answer = Answer(2, 3);
  answer.mutable_gradient()->mutable_raw()->pop_back();
  EXPECT_FALSE(LossOfServiceAnswer({2, 3}, answer.SerializeAsString()).ok());
}

TEST(TorchMessagesTest, HoldWhatTheRequestHolds) {
  const v1::ComputeLossRequest request = DrawRequest({2, 3});
  const std::string bytes = TorchRequest(request);
  int64_t numbers[4];
  ASSERT_EQ(bytes.size(), sizeof(numbers) + 6 * sizeof(float));
  std::memcpy(numbers, bytes.data(), sizeof(numbers));
  EXPECT_THAT(numbers, ::testing::ElementsAre(2, 3, 0, 7919 % 3));
  EXPECT_EQ(bytes.substr(sizeof(numbers)), request.logits().raw());
  const double loss = 0.25;
  std::string answer(reinterpret_cast<const char*>(&loss), sizeof(loss));
  EXPECT_FALSE(LossOfTorchAnswer({2, 3}, answer).ok());
  answer.append(6 * sizeof(float), '\0');
  EXPECT_EQ(*LossOfTorchAnswer({2, 3}, answer), loss);
}

TEST(CheckSameLossTest, AllowsFloat32sError) {
  EXPECT_TRUE(CheckSameLoss(10.0, 10.0009).ok());
  EXPECT_FALSE(CheckSameLoss(10.0, 10.0011).ok());
}

TEST(LatencyTest, IsTheQuantilesOfTheTimes) {
  std::vector<double> times_ms;
  for (int i = 100; i >= 1; --i) times_ms.push_back(i);
  const Latency latency = Summarize(times_ms);
  EXPECT_EQ(latency.calls, 100);
  EXPECT_EQ(latency.p50_ms, 50);
  EXPECT_EQ(latency.p90_ms, 90);
  EXPECT_EQ(latency.p99_ms, 99);
}

TEST(ReportTest, DividesTheEchosMedianByTheServices) {
  Result result = {.transport = "tcp",
                   .payload = {32, 27},
                   .service_bytes = 8'000'000,
                   .echo_bytes = 4'000'000,
                   .service = {.calls = 7, .p50_ms = 2.0},
                   .echo = {.calls = 7, .p50_ms = 1.0},
                   .pytorch = std::nullopt,
                   .python_service = std::nullopt};
  auto json = ToJson(result);
  EXPECT_EQ(json["ratio"], 0.5);
  EXPECT_EQ(json["gb_per_s"], 4.0);
  EXPECT_EQ(json["echo_gb_per_s"], 4.0);
  EXPECT_FALSE(json.contains("pytorch_p50_ms"));
  result.pytorch = Latency{.calls = 1, .p50_ms = 3.0};
  result.python_service = Latency{.calls = 1, .p50_ms = 5.0};
  json = ToJson(result);
  EXPECT_EQ(json["pytorch_p50_ms"], 3.0);
  EXPECT_EQ(json["python_service_p50_ms"], 5.0);
}

TEST(BenchRpcTest, MeasuresEachPayloadOverEachTransport) {
  const testing::ProcessResult run = testing::RunProcess(
      {BENCH_RPC_BINARY, "--json", "--no-python", "--seconds", "0.01",
       "--payload", "2x3", "--payload", "1x70000"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, IsEmpty());
  const auto results = nlohmann::json::parse(run.out);
  ASSERT_EQ(results.size(), 4);
  for (size_t i = 0; i < results.size(); ++i) {
    const auto& result = results[i];
    EXPECT_EQ(result["transport"], i < 2 ? "tcp" : "unix");
    EXPECT_EQ(result["rows"], i % 2 == 0 ? 2 : 1);
    EXPECT_EQ(result["classes"], i % 2 == 0 ? 3 : 70000);
    EXPECT_EQ(result["service_calls"], result["echo_calls"]);
    for (const char* name : {"service_p50_ms", "service_p90_ms",
                             "service_p99_ms", "echo_p50_ms", "gb_per_s"}) {
      EXPECT_GT(result[name], 0.0) << name;
    }
    EXPECT_EQ(result["ratio"], result["echo_p50_ms"].get<double>() /
                                   result["service_p50_ms"].get<double>());
  }
}

TEST(BenchRpcTest, MeasuresEachSettingBesideLossdsOwn) {
  const testing::ProcessResult run = testing::RunProcess(
      {BENCH_RPC_BINARY, "--settings", "--json", "--seconds", "0.001",
       "--payload", "2x3", "--transport", "unix"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto results = nlohmann::json::parse(run.out);
  ASSERT_EQ(results.size(), 11);
  EXPECT_EQ(results[0]["setting"], "");
  EXPECT_EQ(results[0]["gain"], 1.0);
  EXPECT_EQ(results[1]["setting"], "grpc.http2.max_frame_size=65536");
  for (const auto& result : results) {
    EXPECT_EQ(result["echo_calls"], results[0]["echo_calls"]);
    EXPECT_EQ(result["gain"], results[0]["echo_p50_ms"].get<double>() /
                                  result["echo_p50_ms"].get<double>());
  }
}

TEST(BenchRpcTest, MeasuresAStreamBesideTheEcho) {
  const testing::ProcessResult run =
      testing::RunProcess({BENCH_RPC_BINARY, "--stream-mib", "4", "--json",
                           "--seconds", "0.001", "--transport", "unix"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto results = nlohmann::json::parse(run.out);
  ASSERT_EQ(results.size(), 1);
  // Four chunks of five rows.
  EXPECT_EQ(results[0]["rows"], 20);
  EXPECT_GT(results[0]["stream_bytes"], 2 * 20 * 50257 * 4);
  EXPECT_GE(results[0]["peak_mib"], results[0]["idle_mib"]);
  EXPECT_EQ(results[0]["ratio"], results[0]["gb_per_s"].get<double>() /
                                     results[0]["echo_gb_per_s"].get<double>());
}

TEST(BenchRpcTest, GoesOnWithoutPyTorchAndSaysSoInOneLine) {
  const testing::ProcessResult run = testing::RunProcess(
      {BENCH_RPC_BINARY, "--python", "/no/such/python", "--seconds", "0.01",
       "--payload", "2x3", "--transport", "unix"});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_EQ(run.err,
            "bench_rpc: without PyTorch: /no/such/python ended: "
            "/no/such/python: No such file or directory\n");
  EXPECT_THAT(run.out, HasSubstr("\n| unix | 2x3 | "));
}

TEST(BenchRpcTest, FailsWithOneLineWhenTheServerDoesNotStart) {
  const testing::ProcessResult run = testing::RunProcess(
      {BENCH_RPC_BINARY, "--no-python", "--server", "/bin/false"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_EQ(run.err, "bench_rpc: /bin/false ended: no message\n");
  EXPECT_THAT(run.out, IsEmpty());
}

TEST(BenchRpcTest, EndsWithTwoOnBadUsage) {
  const testing::ProcessResult run =
      testing::RunProcess({BENCH_RPC_BINARY, "--payload", "0x3"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("0x3, want ROWSxCLASSES"));
  EXPECT_THAT(run.out, IsEmpty());
}

}  // namespace
}  // namespace lossd::bench
