#include "tests/e2e/exposition.h"

#include <gtest/gtest.h>

#include <cmath>
#include <regex>
#include <sstream>

namespace lossd {
namespace {

const std::regex& HelpLine() {
  static const std::regex regex(R"(# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) .+)");
  return regex;
}

const std::regex& TypeLine() {
  static const std::regex regex(
      R"(# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram))");
  return regex;
}

// name, {labels}, value.
const std::regex& SampleLine() {
  static const std::regex regex(
      R"re(([a-zA-Z_:][a-zA-Z0-9_:]*))re"
      R"re((\{[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\[\\"n])*")re"
      R"re((?:,[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\[\\"n])*")*\})?)re"
      R"re( (\+Inf|-?[0-9]+(?:\.[0-9]+)?(?:e[+-][0-9]+)?))re");
  return regex;
}

bool IsOfFamily(const std::string& name, const std::string& family,
                const std::string& type) {
  if (type != "histogram") return name == family;
  return name == family + "_bucket" || name == family + "_sum" ||
         name == family + "_count";
}

// A bucket's sample, taken apart at its bound: {phase="send",le="0.1"}.
void CheckBuckets(const Exposition& exposition, const std::string& family) {
  const std::regex bucket(family + R"re(_bucket\{(.*),le="([^"]*)"\})re");
  std::map<std::string, std::map<double, double>> series;
  for (const auto& [sample, value] : exposition.samples) {
    std::smatch match;
    if (!std::regex_match(sample, match, bucket)) continue;
    series[match[1]][std::stod(match[2])] = value;
  }
  EXPECT_FALSE(series.empty()) << family;
  for (const auto& [labels, buckets] : series) {
    double last = 0;
    for (const auto& [bound, count] : buckets) {
      EXPECT_GE(count, last) << family << " " << labels << " le " << bound;
      last = count;
    }
    EXPECT_EQ(buckets.rbegin()->first, INFINITY) << family << " " << labels;
    EXPECT_EQ(last, exposition.Value(family + "_count{" + labels + "}"))
        << family << " " << labels;
  }
}

}  // namespace

double Exposition::Value(const std::string& sample) const {
  const auto found = samples.find(sample);
  return found == samples.end() ? 0 : found->second;
}

double Exposition::Sum(const std::string& name) const {
  double sum = 0;
  for (const auto& [sample, value] : samples) {
    if (sample.substr(0, sample.find('{')) == name) sum += value;
  }
  return sum;
}

Exposition ParseExposition(const std::string& text) {
  Exposition exposition;
  std::string family;
  std::istringstream lines(text);
  EXPECT_TRUE(text.empty() || text.back() == '\n');
  for (std::string line; std::getline(lines, line);) {
    SCOPED_TRACE(line);
    std::smatch match;
    if (std::regex_match(line, match, TypeLine())) {
      family = match[1];
      EXPECT_TRUE(exposition.types.emplace(family, match[2]).second);
      const bool is_total = family.ends_with("_total");
      EXPECT_EQ(match[2] == "counter", is_total);
    } else if (std::regex_match(line, match, SampleLine())) {
      const std::string name = match[1];
      EXPECT_TRUE(IsOfFamily(name, family, exposition.types[family]));
      const double value = std::stod(match[3]);
      EXPECT_GE(value, 0);
      exposition.names.insert(name);
      EXPECT_TRUE(
          exposition.samples.emplace(name + match[2].str(), value).second);
    } else {
      EXPECT_TRUE(std::regex_match(line, match, HelpLine()));
    }
  }
  for (const auto& [name, type] : exposition.types) {
    if (type == "histogram") CheckBuckets(exposition, name);
  }
  return exposition;
}

}  // namespace lossd
