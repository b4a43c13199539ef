// The bigram example on files that the test writes, against a server that
// computes.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/process.h"

namespace lossd::bigram {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using testing::ProcessResult;

// 300 names in which some letters are frequent, some rare and some absent.
std::vector<std::string> SomeNames() {
  std::mt19937 random(7);
  std::vector<std::string> names;
  for (int i = 0; i < 300; ++i) {
    const std::string letters = "aaaeeeiinnnrrsltmhdkbyz";
    std::string name;
    const size_t length = 2 + random() % 7;
    while (name.size() < length) name += letters[random() % letters.size()];
    names.push_back(name);
  }
  return names;
}

std::string Lines(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += name + "\n";
  return text;
}

// The mean of -ln(n_ab / n_a) over all neighbours, counted here.
double OptimumOf(const std::vector<std::string>& names) {
  std::map<std::pair<char, char>, double> counts;
  std::map<char, double> after;
  double all = 0.0;
  for (const std::string& name : names) {
    const std::string marked = "." + name + ".";
    for (size_t i = 1; i < marked.size(); ++i) {
      counts[{marked[i - 1], marked[i]}] += 1.0;
      after[marked[i - 1]] += 1.0;
      all += 1.0;
    }
  }
  double sum = 0.0;
  for (const auto& [pair, count] : counts) {
    sum -= count * std::log(count / after[pair.first]);
  }
  return sum / all;
}

double NumberAfter(const std::string& words, const std::string& out) {
  const size_t at = out.find(words);
  if (at == std::string::npos) return NAN;
  return std::stod(out.substr(at + words.size()));
}

// What follows `first` on the lines that begin with it.
std::vector<std::string> LinesAfter(const std::string& first,
                                    const std::string& out) {
  std::istringstream stream(out);
  std::vector<std::string> lines;
  std::string line;
  while (std::getline(stream, line)) {
    if (line.starts_with(first)) lines.push_back(line.substr(first.size()));
  }
  return lines;
}

class BigramTest : public ::testing::Test {
 protected:
  ProcessResult Run(const std::string& text,
                    const std::vector<std::string>& more = {}) {
    directory_.Write("names.txt", text);
    std::vector<std::string> arguments = {BIGRAM_BINARY, "--target",
                                          server_.target(), "--names",
                                          directory_.Path("names.txt")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return testing::RunProcess(arguments);
  }

  const testing::TestDirectory directory_;
  const testing::ServerProcess server_{LOSSD_BINARY};
};

TEST_F(BigramTest, ReachesTheOptimumOfTheCounts) {
  for (const std::vector<std::string>& names :
       {SomeNames(), {"emma", "olivia", "ava", "isabella"}, {"ab"}, {"zzz"}}) {
    const double optimum = OptimumOf(names);
    const ProcessResult result = Run(Lines(names));
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NEAR(NumberAfter("\noptimum ", result.out), optimum, 1e-6);
    const double loss = NumberAfter("\nloss ", result.out);
    // Printed to six places.
    EXPECT_GE(loss, optimum - 1e-6) << result.out;
    EXPECT_LE(loss, optimum + 1e-3) << result.out;
  }
}

TEST_F(BigramTest, LowersTheLossFromLnOfTheClasses) {
  const ProcessResult one = Run(Lines(SomeNames()), {"--steps", "1"});
  ASSERT_EQ(one.exit_code, 0) << one.err;
  EXPECT_THAT(one.out, HasSubstr(" after 1 steps, "));
  const double after_one = NumberAfter("\nloss ", one.out);
  EXPECT_LT(after_one, std::log(27.0));
  const ProcessResult ten = Run(Lines(SomeNames()), {"--steps", "10"});
  EXPECT_THAT(ten.out, HasSubstr(" after 10 steps, "));
  EXPECT_LT(NumberAfter("\nloss ", ten.out), after_one);
}

TEST_F(BigramTest, CountsNamesAndPairs) {
  EXPECT_THAT(Run("ab\nc\n", {"--steps", "1"}).out,
              HasSubstr("2 names: 5 pairs of 27 characters; lossd at " +
                        server_.target()));
}

TEST_F(BigramTest, TakesALastLineWithoutANewline) {
  EXPECT_EQ(NumberAfter("\noptimum ", Run("ab\ncd").out),
            NumberAfter("\noptimum ", Run("ab\ncd\n").out));
}

TEST_F(BigramTest, DrawsNamesBySeed) {
  const auto names = [&](const std::string& seed) {
    return LinesAfter("name ", Run(Lines(SomeNames()), {"--seed", seed}).out);
  };
  const auto drawn = names("3");
  EXPECT_EQ(drawn.size(), 10);
  EXPECT_THAT(drawn, Each(MatchesRegex("[a-z]*")));
  EXPECT_EQ(names("3"), drawn);
  EXPECT_NE(names("4"), drawn);
}

// After one character there is one other, all but certainly.
TEST_F(BigramTest, DrawsNamesLikeThoseItRead) {
  const auto names =
      LinesAfter("name ", Run(Lines({"abc"}), {"--samples", "100"}).out);
  ASSERT_EQ(names.size(), 100);
  EXPECT_GE(std::count(names.begin(), names.end(), "abc"), 95);
}

TEST_F(BigramTest, DrawsAsManyNamesAsAskedFor) {
  for (const char* count : {"0", "1", "1000"}) {
    const auto names =
        LinesAfter("name ", Run("ab\n", {"--samples", count}).out);
    EXPECT_EQ(names.size(), std::stoul(count));
  }
}

TEST_F(BigramTest, NamesLineAndByteOfBadInput) {
  const std::string path = directory_.Path("names.txt");
  const auto message = [&](const std::string& text) {
    const ProcessResult result = Run(text);
    EXPECT_EQ(result.exit_code, 2) << text;
    EXPECT_EQ(result.out, "");
    return result.err;
  };
  const auto want = [&](const std::string& what) {
    return "bigram: " + path + what + "\n";
  };
  const std::string letter = ", want a letter from a to z";
  EXPECT_EQ(message("emma\navA\n"), want(":2: byte 3 is 'A' (0x41)" + letter));
  EXPECT_EQ(message("`a\n"), want(":1: byte 1 is '`' (0x60)" + letter));
  EXPECT_EQ(message("a{\n"), want(":1: byte 2 is '{' (0x7b)" + letter));
  EXPECT_EQ(message("emma\r\n"), want(":1: byte 5 is 0x0d" + letter));
  EXPECT_EQ(message("a\nzo\xc3\xa9\n"), want(":2: byte 3 is 0xc3" + letter));
  EXPECT_EQ(message(std::string("a\0b\n", 4)),
            want(":1: byte 2 is 0x00" + letter));
  EXPECT_EQ(message("emma\n\nava\n"), want(":2: an empty line, want a name"));
  EXPECT_EQ(message(""), want(": holds no names"));
  EXPECT_EQ(message("\n"), want(":1: an empty line, want a name"));
}

TEST_F(BigramTest, NamesAFileThatCannotBeRead) {
  const auto message = [&](const std::string& path) {
    const ProcessResult result = testing::RunProcess(
        {BIGRAM_BINARY, "--target", server_.target(), "--names", path});
    EXPECT_EQ(result.exit_code, 2);
    return result.err;
  };
  EXPECT_EQ(
      message(directory_.Path("none")),
      "bigram: " + directory_.Path("none") + ": No such file or directory\n");
  EXPECT_EQ(message(directory_.Path("")),
            "bigram: " + directory_.Path("") + ": is a directory\n");
}

TEST_F(BigramTest, EndsWithTwoOnBadUsage) {
  for (const auto& [flag, value] :
       std::vector<std::pair<std::string, std::string>>{{"--steps", "0"},
                                                        {"--steps", "1001"},
                                                        {"--samples", "-1"},
                                                        {"--samples", "1001"},
                                                        {"--seed", "-1"},
                                                        {"--timeout", "1s"}}) {
    const ProcessResult result = Run("ab\n", {flag, value});
    EXPECT_EQ(result.exit_code, 2) << flag;
    EXPECT_THAT(result.err, HasSubstr(flag));
  }
  EXPECT_EQ(testing::RunProcess({BIGRAM_BINARY}).exit_code, 2);
}

TEST_F(BigramTest, SaysWhenNobodyListens) {
  directory_.Write("names.txt", "ab\n");
  const ProcessResult result =
      testing::RunProcess({BIGRAM_BINARY, "--target", "127.0.0.1:1", "--names",
                           directory_.Path("names.txt")});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("127.0.0.1:1"));
}

}  // namespace
}  // namespace lossd::bigram
