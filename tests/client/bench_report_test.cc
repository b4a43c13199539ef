#include "client/lossctl/bench_report.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lossd::lossctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

BenchSubject Subject() {
  return {.target = "somewhere:1",
          .rows = 4,
          .classes = 3,
          .data_type = "float64",
          .loss = "huber",
          .plan = {.calls_in_flight = 7, .max_s = 4.0},
          .bytes_per_call = 1'000'000};
}

LoadReport Report() {
  LoadReport report;
  report.settled = true;
  report.spread = 0.0123;
  report.seconds = 2.0;
  report.calls_per_s = 500.0;
  for (int i = 1; i <= 1000; ++i) report.latencies_ms.push_back(i);
  report.run_s = 4.0;
  report.succeeded = 1990;
  return report;
}

TEST(BenchReportTest, TellsPeopleWhatWasMeasured) {
  EXPECT_EQ(BenchText(Subject(), Report()),
            "target       somewhere:1\n"
            "batch        4 x 3 float64, huber and gradient\n"
            "load         7 in flight at a time\n"
            "throughput   settled: the last 3 windows are within 1.2%\n"
            "calls/s      500.0\n"
            "GB/s         0.5\n"
            "latency, ms  p50 500  p90 900  p99 990  p99.9 999  max 1e+03  "
            "(1000 calls)\n"
            "whole run    4.0 s, 1990 calls succeeded\n");
}

TEST(BenchReportTest, NamesErrorsByCodeWithTheFirstMessage) {
  LoadReport report = Report();
  report.errors[absl::StatusCode::kUnavailable] = {12, "full"};
  EXPECT_THAT(BenchText(Subject(), report),
              HasSubstr("errors       UNAVAILABLE 12: full\n"));
  EXPECT_EQ(BenchJson(Subject(), report)["errors"].dump(),
            "{\"UNAVAILABLE\":12}");
}

TEST(BenchReportTest, SaysThatThroughputDidNotSettle) {
  LoadReport report = Report();
  report.settled = false;
  EXPECT_THAT(BenchText(Subject(), report),
              HasSubstr("throughput   did not settle in 4 s: want 3 windows "
                        "within 5%\n"));
  EXPECT_EQ(BenchJson(Subject(), report)["settled"], false);
}

TEST(BenchReportTest, SaysThatARateWasNotReached) {
  BenchSubject subject = Subject();
  subject.plan.rate = 526.0;  // 500 are 95.06% of it
  EXPECT_THAT(BenchText(subject, Report()), Not(HasSubstr("note")));
  EXPECT_THAT(BenchText(subject, Report()),
              HasSubstr("load         526 calls/s, at most 7 in flight\n"));
  subject.plan.rate = 527.0;  // 94.9%
  EXPECT_THAT(BenchText(subject, Report()),
              HasSubstr("note         the rate was not reached"));
}

TEST(BenchReportTest, HasNoQuantilesWhereNoCallSucceeded) {
  const LoadReport nothing;
  EXPECT_THAT(BenchText(Subject(), nothing),
              HasSubstr("throughput   none: no call succeeded\n"));
  const Json json = BenchJson(Subject(), nothing);
  EXPECT_EQ(json["calls"], 0);
  EXPECT_TRUE(json["p99_9_ms"].is_null());
  EXPECT_TRUE(json["max_ms"].is_null());
}

TEST(BenchReportTest, TellsProgramsTheSame) {
  const Json json = BenchJson(Subject(), Report());
  EXPECT_EQ(json["data_type"], "FLOAT64");
  EXPECT_EQ(json["concurrency"], 7);
  EXPECT_EQ(json["calls_per_s"], 500.0);
  EXPECT_EQ(json["gb_per_s"], 0.5);
  EXPECT_EQ(json["p50_ms"], 500.0);
  EXPECT_EQ(json["p99_9_ms"], 999.0);
  EXPECT_EQ(json["max_ms"], 1000.0);
}

TEST(ProgressLineTest, SaysHowFarItIs) {
  LoadProgress progress = {.run_s = 2.0,
                           .warming_up = true,
                           .calls = 10,
                           .errors = 1,
                           .windows = 2,
                           .spread = 0.5};
  EXPECT_EQ(ProgressLine(progress), "2 s  10 calls, 1 errors  warming up");
  progress.warming_up = false;
  EXPECT_EQ(ProgressLine(progress),
            "2 s  10 calls, 1 errors  2 windows, the last 50.0% apart");
}

}  // namespace
}  // namespace lossd::lossctl
