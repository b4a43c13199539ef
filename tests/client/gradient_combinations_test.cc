// lossctl check-gradient over everything that a started lossd lists: each loss,
// kind of labels, option, reduction and factor.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/process.h"

namespace lossd::lossctl {
namespace {

using testing::ProcessResult;
using testing::RunProcess;

using Arguments = std::vector<std::string>;

Arguments Joined(Arguments first, const Arguments& more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

// Values that no option has by itself, for batches of 4 rows and 5 classes: one
// side of the default, and the other where there are two. An option that the
// command has and this has not fails the test.
const std::map<std::string, std::vector<std::string>> kValues = {
    {"--label-smoothing", {"0.1", "1"}},
    {"--class-weights", {"0.5,2,1,0,3"}},
    {"--ignore-index", {"1", "-100"}},
    {"--z-loss", {"0.01"}},
    {"--logit-scale", {"0.6", "3"}},
    {"--logit-softcap", {"2.5"}},
    {"--positive-weights", {"0.5,2,1,0,3"}},
    {"--temperature", {"0.5", "3"}},
    {"--targets-are-logits", {""}},
    {"--gamma", {"0", "1.5", "4"}},
    {"--alpha", {"0.25"}},
    {"--margin", {"-0.5", "2.5"}},
    {"--power", {"2"}},
    {"--delta", {"0.3", "2.5"}}};

// What the command's help says of a loss.
struct LossUsage {
  std::vector<Arguments> labels;     // flags, one list for each kind it takes
  std::vector<std::string> options;  // flags
};

// Reads the paragraphs "  NAME: LABELS" and "      --OPTION (DEFAULT)" that end
// the help.
std::map<std::string, LossUsage> ReadUsages() {
  std::istringstream help(
      RunProcess({LOSSCTL_BINARY, "check-gradient", "--help"}).out);
  std::map<std::string, LossUsage> usages;
  std::string line, loss;
  while (std::getline(help, line) && !line.starts_with("Losses, ")) {
  }
  while (std::getline(help, line)) {
    if (line.starts_with("      --")) {
      const std::string flag = line.substr(6);
      usages.at(loss).options.push_back(flag.substr(0, flag.find(' ')));
    } else if (const auto colon = line.find(": "); colon != line.npos) {
      loss = line.substr(2, colon - 2);
      usages[loss].labels = {{}};
      if (line.ends_with("indices or targets")) {
        usages[loss].labels.push_back({"--float-targets"});
      }
    }
  }
  return usages;
}

Arguments Given(const std::string& flag, const std::string& value) {
  return value.empty() ? Arguments{flag} : Arguments{flag, value};
}

// No option, each alone at each of its values, and all at once.
std::vector<Arguments> OptionSets(const LossUsage& usage, bool has_targets) {
  std::vector<Arguments> sets = {{}};
  Arguments all;
  for (const std::string& flag : usage.options) {
    if (flag == "--ignore-index" && has_targets) continue;
    const auto values = kValues.find(flag);
    if (values == kValues.end()) {
      ADD_FAILURE() << "no value of " << flag << " to try";
      continue;
    }
    for (const std::string& value : values->second) {
      sets.push_back(Given(flag, value));
    }
    all = Joined(all, Given(flag, values->second[0]));
  }
  if (usage.options.size() > 1) sets.push_back(all);
  return sets;
}

// Each reduction without factors, with each alone and with all; then the
// classes first, and a gradient of another type than the logits'.
std::vector<Arguments> ReductionSets() {
  const Arguments weights = {"--row-weights", "0.5,2,0,1.25"};
  const Arguments upstream = {"--upstream-gradient", "-1.5,0.75,3,0.125"};
  const Arguments one_upstream = {"--upstream-gradient", "-0.375"};
  const Arguments divisor = {"--divisor", "7"};
  const Arguments both = Joined(weights, upstream);
  std::vector<Arguments> sets;
  for (const std::string reduction : {"mean", "sum", "none"}) {
    std::vector<Arguments> factors = {{}, weights, upstream, both};
    if (reduction != "none") factors.push_back(one_upstream);
    if (reduction == "mean") {
      factors.push_back(divisor);
      factors.push_back(Joined(both, divisor));
    }
    for (const Arguments& more : factors) {
      sets.push_back(Joined({"--reduction", reduction}, more));
    }
  }
  sets.push_back(Joined({"--class-axis", "0"}, both));
  sets.push_back(Joined({"--gradient-data-type", "float32"}, both));
  return sets;
}

std::vector<Arguments> CombinationsOf(const std::string& loss,
                                      const LossUsage& usage) {
  std::vector<Arguments> combinations;
  for (const Arguments& labels : usage.labels) {
    for (const Arguments& options : OptionSets(usage, !labels.empty())) {
      for (const Arguments& reduction : ReductionSets()) {
        combinations.push_back(Joined(
            Joined(Joined({"--loss", loss}, labels), options), reduction));
      }
    }
  }
  return combinations;
}

// Runs check-gradient for each; the results in the same order. Most of a run's
// time is the command's start, so several are under way at once.
std::vector<ProcessResult> CheckAll(const std::string& target,
                                    const std::vector<Arguments>& runs) {
  std::vector<ProcessResult> results(runs.size());
  std::atomic<size_t> next = 0;
  std::vector<std::thread> threads;
  const size_t count = std::max(2u, std::thread::hardware_concurrency());
  for (size_t i = 0; i < count; ++i) {
    threads.emplace_back([&] {
      for (size_t at = next++; at < runs.size(); at = next++) {
        results[at] =
            RunProcess(Joined({LOSSCTL_BINARY, "check-gradient", "--target",
                               target, "--rows", "4", "--classes", "5"},
                              runs[at]));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return results;
}

TEST(GradientCombinationsTest, AllPass) {
  const testing::ServerProcess server(LOSSD_BINARY);
  const ProcessResult info = RunProcess(
      {LOSSCTL_BINARY, "info", "--json", "--target", server.target()});
  const nlohmann::json losses = nlohmann::json::parse(info.out)["losses"];
  EXPECT_GE(losses.size(), 7u);
  const auto usages = ReadUsages();
  size_t passed = 0, all = 0;
  for (const std::string loss : losses) {
    ASSERT_EQ(usages.count(loss), 1u) << "the help does not have " << loss;
    const auto runs = CombinationsOf(loss, usages.at(loss));
    const auto results = CheckAll(server.target(), runs);
    size_t passed_here = 0;
    for (size_t i = 0; i < runs.size(); ++i) {
      const bool pass =
          results[i].exit_code == 0 && results[i].out.ends_with("\nPASS\n");
      EXPECT_TRUE(pass) << ::testing::PrintToString(runs[i]) << results[i].out
                        << results[i].err;
      passed_here += pass ? 1 : 0;
    }
    std::printf("%s: %zu of %zu\n", loss.c_str(), passed_here, runs.size());
    passed += passed_here;
    all += runs.size();
  }
  std::printf("%zu of %zu combinations\n", passed, all);
}

// Those of losses that the server does not list, too.
TEST(GradientCombinationsTest, HaveAValueForEveryOption) {
  size_t options = 0;
  for (const auto& [loss, usage] : ReadUsages()) {
    for (const std::string& flag : usage.options) {
      EXPECT_EQ(kValues.count(flag), 1u) << loss << ": " << flag;
      ++options;
    }
  }
  // As many as the contract has.
  EXPECT_EQ(options, 20u);
}

}  // namespace
}  // namespace lossd::lossctl
