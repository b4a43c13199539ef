// What Prometheus scrapes from lossd, and what is built upon it: the dashboard,
// the alerts and the documentation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "tests/e2e/exposition.h"
#include "tests/e2e/lossd_process.h"
#include "tests/e2e/requests.h"
#include "tests/e2e/wire.h"

namespace lossd {
namespace {

using testing::Contains;
using testing::IsSupersetOf;
using Names = std::set<std::string>;

std::string ReadFile(const std::string& path) {
  std::ifstream file(std::string(LOSSD_SOURCE_DIR "/") + path);
  EXPECT_TRUE(file) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// All names of lossd's metrics in `text`.
Names NamesIn(const std::string& text) {
  static const std::regex name("\\blossd_[a-z0-9_]+");
  Names names;
  for (std::sregex_iterator it(text.begin(), text.end(), name), end; it != end;
       ++it) {
    names.insert(it->str());
  }
  return names;
}

// What stands under the keys "expr" and "query", at any depth.
std::string QueriesIn(const nlohmann::json& json) {
  std::string queries;
  for (const auto& item : json.items()) {
    const bool is_query = item.key() == "expr" || item.key() == "query";
    if (is_query && item.value().is_string()) {
      queries += item.value().get<std::string>() + "\n";
    } else if (item.value().is_structured()) {
      queries += QueriesIn(item.value());
    }
  }
  return queries;
}

class MonitoringTest : public testing::Test {
 protected:
  Exposition Scrape() {
    const auto result = client_.Get("/metrics");
    if (!result) return {};
    EXPECT_EQ(result->status, 200);
    return ParseExposition(result->body);
  }

  LossdProcess lossd_{{"--listen", "127.0.0.1:0", "--http-listen",
                       "127.0.0.1:0", "--max-request-bytes", "100000",
                       "--memory-budget-bytes", "16777216"}};
  const std::shared_ptr<grpc::Channel> channel_ =
      Connect(lossd_.WaitForAddress());
  httplib::Client client_{"http://" + lossd_.WaitForHttpAddress()};
};

TEST_F(MonitoringTest, CountsWhatCallersDo) {
  const Exposition before = Scrape();
  EXPECT_EQ(before.Sum("lossd_calls_total"), 0);
  EXPECT_EQ(before.Value("lossd_ready"), 1);
  EXPECT_EQ(before.Value("lossd_memory_budget_bytes"), 16777216);
  EXPECT_EQ(before.Sum("lossd_build_info"), 1);

  const auto request = MakeRequest(32, 27);
  constexpr int kCalls = 3;
  size_t response_bytes = 0;
  for (int i = 0; i < kCalls; ++i) {
    const WireResult result = ComputeLoss(channel_, request);
    EXPECT_TRUE(result.status.ok());
    response_bytes += result.response.size();
  }
  const auto large = MakeRequest(1000, 27);
  EXPECT_EQ(ComputeLoss(channel_, large).status.error_code(),
            grpc::RESOURCE_EXHAUSTED);

  Exposition after = Scrape();
  const auto calls = [&](const std::string& code) {
    return after.Value("lossd_calls_total{code=\"" + code +
                       "\",method=\"ComputeLoss\"}");
  };
  EXPECT_EQ(calls("OK"), kCalls);
  EXPECT_EQ(calls("RESOURCE_EXHAUSTED"), 1);
  EXPECT_EQ(after.Sum("lossd_calls_total"), kCalls + 1);
  EXPECT_EQ(after.Value("lossd_refusals_total{reason=\"REQUEST_TOO_LARGE\"}"),
            1);
  EXPECT_EQ(after.Sum("lossd_refusals_total"), 1);
  EXPECT_EQ(after.Value("lossd_computed_rows_total"), kCalls * 32);
  EXPECT_EQ(after.Value("lossd_computed_logits_total"), kCalls * 32 * 27);
  EXPECT_EQ(after.Value("lossd_received_bytes_total"),
            kCalls * request.ByteSizeLong() + large.ByteSizeLong());
  EXPECT_EQ(after.Value("lossd_sent_bytes_total"), response_bytes);
  // Calls end for the server a little later than for their callers.
  const char* const queued = "lossd_call_phase_seconds_count{phase=\"queue\"}";
  while (after.Value(queued) < kCalls + 1) after = Scrape();
  EXPECT_EQ(after.Value("lossd_call_phase_seconds_count{phase=\"compute\"}"),
            kCalls);
  EXPECT_GT(after.Value("lossd_call_phase_seconds_sum{phase=\"compute\"}"), 0);
}

TEST_F(MonitoringTest, HasEveryMetricOfTheDashboard) {
  const auto dashboard =
      nlohmann::json::parse(ReadFile("docker/grafana-dashboard.json"));
  const Names used = NamesIn(QueriesIn(dashboard));
  EXPECT_THAT(used, Contains("lossd_call_phase_seconds_bucket"));
  EXPECT_THAT(Scrape().names, IsSupersetOf(used));
}

TEST_F(MonitoringTest, HasEveryMetricOfTheAlerts) {
  const Names used = NamesIn(ReadFile("docker/alerts.yml"));
  EXPECT_THAT(used, Contains("lossd_ready"));
  EXPECT_THAT(Scrape().names, IsSupersetOf(used));
}

TEST_F(MonitoringTest, HasTheMetricsThatAreDocumented) {
  const std::string text = ReadFile("docs/operations.md");
  static const std::regex row(
      R"(\| `(lossd_[a-z_]+)` \| (counter|gauge|histogram) \|)");
  std::map<std::string, std::string> documented;
  for (std::sregex_iterator it(text.begin(), text.end(), row), end; it != end;
       ++it) {
    documented[(*it)[1]] = (*it)[2];
  }
  EXPECT_EQ(documented, Scrape().types);
}

}  // namespace
}  // namespace lossd
