// lossctl bench: its flags, and what it says of servers good and bad. No
// figure.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "client/lossctl/command.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/process.h"
#include "tests/client/recorder.h"

namespace lossd::lossctl {
namespace {

using testing::FakeServer;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::ProcessResult;
using testing::RunProcess;
using testing::ServerProcess;
using testing::SetRaw;

using Arguments = std::vector<std::string>;

// Nothing listens on port 1.
constexpr char kNowhere[] = "127.0.0.1:1";

// A small batch and a run of a second at the most, where `arguments` say
// nothing else.
ProcessResult Bench(const std::string& target, const Arguments& arguments) {
  Arguments all = {LOSSCTL_BINARY, "bench", "--target", target};
  for (const Arguments& preset :
       std::vector<Arguments>{{"--rows", "4"},
                              {"--classes", "3"},
                              {"--max-seconds", "1"},
                              {"--warm-up-seconds", "0.02"},
                              {"--window-seconds", "0.02"}}) {
    if (std::count(arguments.begin(), arguments.end(), preset[0]) == 0) {
      all.insert(all.end(), preset.begin(), preset.end());
    }
  }
  all.insert(all.end(), arguments.begin(), arguments.end());
  return RunProcess(all);
}

nlohmann::json BenchJson(const std::string& target, Arguments arguments,
                         int exit_code = 0) {
  arguments.push_back("--json");
  const ProcessResult result = Bench(target, arguments);
  EXPECT_EQ(result.exit_code, exit_code) << result.err;
  return nlohmann::json::parse(result.out);
}

// A right answer, to be refused or not by the caller of this.
void AnswerZeros(const v1::ComputeLossRequest& request,
                 v1::ComputeLossResponse& response) {
  const v1::Tensor& logits = request.logits();
  response.mutable_gradient()->set_data_type(logits.data_type());
  *response.mutable_gradient()->mutable_shape() = logits.shape();
  response.mutable_gradient()->set_raw(std::string(logits.raw().size(), '\0'));
}

TEST(LossctlBenchTest, ReportsLatencyAndThroughput) {
  const ServerProcess server(LOSSD_BINARY);
  const auto report = BenchJson(server.target(), {"--concurrency", "2"});
  EXPECT_EQ(report["target"], server.target());
  EXPECT_EQ(report["rows"], 4);
  EXPECT_EQ(report["classes"], 3);
  EXPECT_EQ(report["data_type"], "FLOAT32");
  EXPECT_EQ(report["concurrency"], 2);
  EXPECT_THAT(report["errors"], IsEmpty());
  EXPECT_GT(report["calls"], 0);
  EXPECT_GE(report["run_succeeded"], report["calls"]);
  EXPECT_DOUBLE_EQ(report["calls_per_s"], report["calls"].get<double>() /
                                              report["seconds"].get<double>());
  // 12 logits and as many of the gradient, 4 labels of 8 bytes.
  EXPECT_DOUBLE_EQ(report["gb_per_s"],
                   report["calls_per_s"].get<double>() * 128e-9);
  double last = 0.0;
  for (const char* name :
       {"p50_ms", "p90_ms", "p99_ms", "p99_9_ms", "max_ms"}) {
    EXPECT_GE(report[name], last) << name;
    last = report[name];
  }
  EXPECT_GT(last, 0.0);
  EXPECT_TRUE(report["settled"].is_boolean());
}

TEST(LossctlBenchTest, KeepsARate) {
  const ServerProcess server(LOSSD_BINARY);
  const auto report =
      BenchJson(server.target(), {"--rate", "400", "--max-in-flight", "3"});
  EXPECT_EQ(report["rate"], 400.0);
  EXPECT_EQ(report["max_in_flight"], 3);
  // No call starts before its time.
  EXPECT_LE(report["run_succeeded"],
            1 + report["run_seconds"].get<double>() * 400.0);
  EXPECT_FALSE(report.contains("concurrency"));
}

TEST(LossctlBenchTest, SaysWhetherItSettled) {
  const ServerProcess server(LOSSD_BINARY);
  const ProcessResult result =
      Bench(server.target(), {"--window-seconds", "600"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("did not settle in 1 s: want 3 windows "
                                    "within 5%"));
  EXPECT_THAT(result.out, HasSubstr("float32, softmax_cross_entropy"));
  EXPECT_THAT(result.out, HasSubstr("latency, ms  p50 "));
  EXPECT_THAT(result.out, HasSubstr("  p99.9 "));
  EXPECT_THAT(result.out, Not(HasSubstr("errors")));
  EXPECT_THAT(result.err, IsEmpty());
}

TEST(LossctlBenchTest, SendsTheDataTypeAndTheLossGiven) {
  std::atomic<int> right{0}, wrong{0};
  const FakeServer server([&](auto&, const v1::ComputeLossRequest& request,
                              v1::ComputeLossResponse& response) {
    const bool fits = request.logits().data_type() == v1::DATA_TYPE_FLOAT64 &&
                      request.labels().data_type() == v1::DATA_TYPE_FLOAT64 &&
                      request.loss().huber().delta() == 0.5;
    ++(fits ? right : wrong);
    AnswerZeros(request, response);
    return grpc::Status::OK;
  });
  const auto report = BenchJson(
      server.target(),
      {"--data-type", "float64", "--loss", "huber", "--delta", "0.5"});
  EXPECT_EQ(report["data_type"], "FLOAT64");
  EXPECT_EQ(report["loss"], "huber");
  // Logits, targets and gradient.
  EXPECT_DOUBLE_EQ(report["gb_per_s"],
                   report["calls_per_s"].get<double>() * 288e-9);
  EXPECT_GT(right, 0);
  EXPECT_EQ(wrong, 0);
}

TEST(LossctlBenchTest, CountsRefusedCallsByCode) {
  std::atomic<int> calls{0};
  const FakeServer server([&](auto&, const v1::ComputeLossRequest& request,
                              v1::ComputeLossResponse& response) {
    switch (calls++ % 4) {
      case 0:
        return grpc::Status(grpc::UNAVAILABLE, "full");
      case 1:
        return grpc::Status(grpc::RESOURCE_EXHAUSTED, "too large");
    }
    AnswerZeros(request, response);
    return grpc::Status::OK;
  });
  const auto report = BenchJson(server.target(), {});
  EXPECT_EQ(report["errors"].size(), 2);
  EXPECT_GT(report["errors"]["UNAVAILABLE"], 0);
  EXPECT_GT(report["errors"]["RESOURCE_EXHAUSTED"], 0);
  EXPECT_GT(report["run_succeeded"], 0);
  const ProcessResult text = Bench(server.target(), {});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_THAT(text.out, HasSubstr("errors       RESOURCE_EXHAUSTED "));
  EXPECT_THAT(text.out, HasSubstr(": too large\n"));
}

TEST(LossctlBenchTest, FailsWhenEveryCallFails) {
  const FakeServer server([](auto&, auto&, auto&) {
    return grpc::Status(grpc::INVALID_ARGUMENT, "no such thing");
  });
  const auto report = BenchJson(server.target(), {}, /*exit_code=*/1);
  EXPECT_EQ(report["settled"], false);
  EXPECT_EQ(report["calls"], 0);
  EXPECT_EQ(report["p50_ms"], nullptr);
  EXPECT_GT(report["errors"]["INVALID_ARGUMENT"], 0);
  const ProcessResult text = Bench(server.target(), {});
  EXPECT_EQ(text.exit_code, 1);
  EXPECT_EQ(text.err,
            "lossctl: every call failed: INVALID_ARGUMENT: no such thing\n");
  EXPECT_THAT(text.out, HasSubstr("none: no call succeeded"));
}

TEST(LossctlBenchTest, FailsWhenNobodyListens) {
  const ProcessResult result = Bench(kNowhere, {});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("lossctl: every call failed: UNAVAILABLE"));
}

TEST(LossctlBenchTest, FailsWhenNoCallEndsInTime) {
  const FakeServer server([](grpc::ServerContext& context, auto&, auto&) {
    while (!context.IsCancelled()) std::this_thread::yield();
    return grpc::Status::OK;
  });
  const ProcessResult result =
      Bench(server.target(), {"--timeout", "0.3", "--max-seconds", "0.1"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("lossctl: no call ended in 0.1 s"));
}

TEST(LossctlBenchTest, ShowsProgressOnATerminalOnly) {
  const ServerProcess server(LOSSD_BINARY);
  const std::string command = std::string(LOSSCTL_BINARY) +
                              " bench --rows 2 --classes 3 --max-seconds 0.4 "
                              "--window-seconds 600 --warm-up-seconds 0 "
                              "--target " +
                              server.target();
  const ProcessResult result =
      RunProcess({"/usr/bin/script", "-qec", command, "/dev/null"});
  EXPECT_EQ(result.exit_code, 0) << result.out;
  EXPECT_THAT(result.out, HasSubstr(" calls, 0 errors  0 windows"));
}

// The code of parsing "bench" with these; 0: taken.
int ParseCode(const Arguments& arguments) {
  CLI::App app;
  const CommonFlags common;
  Command chosen;
  AddBench(app, common, &chosen);
  Arguments reversed(arguments.rbegin(), arguments.rend());
  reversed.push_back("bench");
  try {
    app.parse(reversed);
  } catch (const CLI::ParseError& error) {
    return error.get_exit_code();
  }
  return 0;
}

TEST(LossctlBenchFlagsTest, TakeEachBoundAndNothingPastIt) {
  struct Bounds {
    std::string flag, below, least, most, above;
    Arguments with = {};
  };
  for (const Bounds& bounds : std::vector<Bounds>{
           {"--rows", "0", "1", "1000000", "1000001"},
           {"--classes", "0", "1", "10000000", "10000001"},
           {"--concurrency", "0", "1", "1000", "1001"},
           {"--rate", "0.0009", "0.001", "1000000", "1000000.5"},
           {"--max-in-flight", "0", "1", "1000", "1001", {"--rate", "1"}},
           {"--warm-up-seconds", "-0.1", "0", "3600", "3600.1"},
           {"--window-seconds", "0.009", "0.01", "600", "600.1"},
           {"--max-seconds", "0.009", "0.01", "86400", "86400.1"}}) {
    const auto code = [&](const std::string& value) {
      Arguments arguments = bounds.with;
      arguments.insert(arguments.end(), {bounds.flag, value});
      return ParseCode(arguments);
    };
    EXPECT_NE(code(bounds.below), 0) << bounds.flag;
    EXPECT_EQ(code(bounds.least), 0) << bounds.flag;
    EXPECT_EQ(code(bounds.most), 0) << bounds.flag;
    EXPECT_NE(code(bounds.above), 0) << bounds.flag;
    EXPECT_NE(code("nan"), 0) << bounds.flag;
  }
}

TEST(LossctlBenchFlagsTest, AreAClosedOrAnOpenLoop) {
  EXPECT_NE(ParseCode({"--concurrency", "2", "--rate", "1"}), 0);
  EXPECT_NE(ParseCode({"--max-in-flight", "2"}), 0);
  EXPECT_NE(ParseCode({"--data-type", "int64"}), 0);
  EXPECT_EQ(ParseCode({"--data-type", "FLOAT64"}), 0);
}

TEST(LossctlBenchTest, RefusesMoreLogitsThanFit) {
  // 200,000,000 logits would be taken.
  const ProcessResult result = Bench(
      kNowhere, {"--rows", "1000000", "--classes", "67", "--concurrency", "3"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err,
            "lossctl: --rows 1000000 x --classes 67 x 3 calls in flight, want "
            "at most 200000000 logits\n");
}

TEST(LossctlBenchTest, RefusesAWarmUpThatLeavesNoTime) {
  const ProcessResult result = Bench(kNowhere, {"--warm-up-seconds", "1"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(
      result.err,
      "lossctl: --warm-up-seconds = 1, want less than --max-seconds, 1\n");
}

TEST(LossctlBenchTest, HelpsWithRangeUnitAndDefault) {
  const ProcessResult result = RunProcess({LOSSCTL_BINARY, "bench", "--help"});
  EXPECT_EQ(result.exit_code, 0);
  for (const char* text :
       {"--concurrency INT:INT in [1 - 1000]=1", "in seconds",
        "--rows INT:INT in [1 - 1000000]=128", "--timeout is each call's"}) {
    EXPECT_THAT(result.out, HasSubstr(text));
  }
}

}  // namespace
}  // namespace lossd::lossctl
