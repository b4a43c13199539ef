#include "server/rpc/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <string>

namespace lossd::rpc {
namespace {

using std::chrono::nanoseconds;
using ::testing::HasSubstr;

TEST(DurationHistogramTest, CountsABoundIntoItsBucketAndOnePastItIntoTheNext) {
  for (size_t i = 0; i < DurationHistogram::kBounds.size(); ++i) {
    const nanoseconds bound(std::llround(DurationHistogram::kBounds[i] * 1e9));
    DurationHistogram histogram;
    histogram.Observe(bound);
    histogram.Observe(bound + nanoseconds(1));
    const auto buckets = histogram.Collect().bucket;
    const auto below = i == 0 ? 0 : buckets[i - 1].cumulative_count;
    EXPECT_EQ(below, 0U) << i;
    EXPECT_EQ(buckets[i].cumulative_count, 1U) << i;
    EXPECT_EQ(buckets[i + 1].cumulative_count, 2U) << i;
  }
}

TEST(DurationHistogramTest, EndsWithInfinityAndHasTheSum) {
  DurationHistogram histogram;
  histogram.Observe(std::chrono::hours(1));
  histogram.Observe(std::chrono::milliseconds(500));
  const auto collected = histogram.Collect();
  EXPECT_EQ(collected.bucket.back().upper_bound,
            std::numeric_limits<double>::infinity());
  EXPECT_EQ(collected.bucket.back().cumulative_count, 2U);
  EXPECT_EQ(collected.sample_count, 2U);
  EXPECT_DOUBLE_EQ(collected.sample_sum, 3600.5);
}

TEST(PhaseTimesTest, AddUpWhatWasBetweenStartAndStop) {
  using Clock = PhaseTimes::Clock;
  const Clock::time_point start(std::chrono::hours(1));
  PhaseTimes times;
  times.Start(Phase::kReceive, start);
  times.Stop(Phase::kReceive, start + nanoseconds(3));
  times.Stop(Phase::kReceive, start + nanoseconds(100));
  times.Start(Phase::kReceive, start + nanoseconds(100));
  times.Stop(Phase::kReceive, start + nanoseconds(104));
  EXPECT_EQ(times.Total(Phase::kReceive), nanoseconds(7));
  EXPECT_EQ(times.Total(Phase::kSend), std::nullopt);
}

TEST(PhaseTimesTest, StandStillOnceAllAreStopped) {
  PhaseTimes times;
  times.Start(Phase::kReceive);
  times.Switch(Phase::kReceive, Phase::kCompute);
  times.StopAll();
  const auto total = times.Total(Phase::kCompute);
  times.StopAll();
  EXPECT_EQ(times.Total(Phase::kCompute), total);
}

TEST(MetricsTest, CountCallsByMethodAndCode) {
  Metrics metrics({"A", "B"}, "1.2.3", "AVX9");
  metrics.CountCall(1, absl::StatusCode::kOk);
  metrics.CountCall(1, absl::StatusCode::kOk);
  metrics.CountCall(0, absl::StatusCode::kUnauthenticated);
  const std::string text = metrics.Text({});
  EXPECT_THAT(text, HasSubstr(R"(lossd_calls_total{code="OK",method="B"} 2)"));
  EXPECT_THAT(
      text,
      HasSubstr(R"(lossd_calls_total{code="UNAUTHENTICATED",method="A"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(lossd_calls_total{code="OK",method="A"} 0)"));
}

TEST(MetricsTest, CountRefusalsByReasonFromZero) {
  Metrics metrics({"A"}, "1.2.3", "AVX9");
  metrics.CountRefusal("OVERLOADED");
  metrics.CountRefusal("ANOTHER");
  metrics.CountRefusal("ANOTHER");
  const std::string text = metrics.Text({});
  EXPECT_THAT(text, HasSubstr(R"(lossd_refusals_total{reason="DRAINING"} 0)"));
  EXPECT_THAT(text,
              HasSubstr(R"(lossd_refusals_total{reason="OVERLOADED"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(lossd_refusals_total{reason="ANOTHER"} 2)"));
}

TEST(MetricsTest, CountBytes) {
  Metrics metrics({"A"}, "1.2.3", "AVX9");
  metrics.CountReceived(3);
  metrics.CountReceived(4);
  metrics.CountSent(5);
  const std::string text = metrics.Text({});
  EXPECT_THAT(text, HasSubstr("\nlossd_received_bytes_total 7\n"));
  EXPECT_THAT(text, HasSubstr("\nlossd_sent_bytes_total 5\n"));
}

TEST(MetricsTest, ObserveThePhasesThatACallCameTo) {
  Metrics metrics({"A"}, "1.2.3", "AVX9");
  PhaseTimes times;
  times.Start(Phase::kReceive);
  times.Stop(Phase::kReceive);
  metrics.Observe(times);
  const std::string text = metrics.Text({});
  const auto count = [](const std::string& phase, int n) {
    return HasSubstr("lossd_call_phase_seconds_count{phase=\"" + phase +
                     "\"} " + std::to_string(n) + "\n");
  };
  EXPECT_THAT(text, count("receive", 1));
  EXPECT_THAT(text, count("queue", 1));
  EXPECT_THAT(text, count("compute", 0));
  EXPECT_THAT(text, count("send", 0));
}

TEST(MetricsTest, TellTheStateOfTheServerAndWhatRuns) {
  const Metrics metrics({"A"}, "1.2.3", "AVX9");
  const std::string text = metrics.Text({.is_serving = true,
                                         .calls_in_flight = 2,
                                         .calls_waiting = 3,
                                         .reserved_bytes = 4,
                                         .budget_bytes = 5,
                                         .computed_rows = 6,
                                         .computed_logits = 7});
  for (const char* line :
       {R"(lossd_build_info{kernel="AVX9",version="1.2.3"} 1)", "lossd_ready 1",
        "lossd_calls_in_flight 2", "lossd_calls_waiting 3",
        "lossd_memory_reserved_bytes 4", "lossd_memory_budget_bytes 5",
        "lossd_computed_rows_total 6", "lossd_computed_logits_total 7"}) {
    EXPECT_THAT(text, HasSubstr(std::string(line) + "\n"));
  }
  EXPECT_THAT(metrics.Text({}), HasSubstr("lossd_ready 0\n"));
}

}  // namespace
}  // namespace lossd::rpc
