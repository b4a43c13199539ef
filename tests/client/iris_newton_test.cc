#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/process.h"

namespace lossd::iris {
namespace {

using ::testing::HasSubstr;
using testing::ProcessResult;
using testing::RunProcess;
using ::testing::StartsWith;

// A line of the table.
struct Line {
  int step = 0;
  double loss = 0.0;
  double gradient_norm = 0.0;
  int products = 0;
  int calls = 0;
};

std::vector<Line> TableOf(const std::string& out) {
  std::istringstream stream(out);
  std::vector<Line> table;
  std::string text;
  while (std::getline(stream, text)) {
    std::istringstream fields(text);
    Line line;
    if (fields >> line.step >> line.loss >> line.gradient_norm >>
        line.products >> line.calls) {
      table.push_back(line);
    }
  }
  return table;
}

double NumberAfter(const std::string& words, const std::string& out) {
  const size_t at = out.find(words);
  if (at == std::string::npos) return NAN;
  return std::stod(out.substr(at + words.size()));
}

class IrisNewtonTest : public ::testing::Test {
 protected:
  ProcessResult Run(std::vector<std::string> flags) const {
    flags.insert(flags.begin(),
                 {IRIS_NEWTON_BINARY, "--target", server_.target()});
    return RunProcess(flags);
  }

  const testing::ServerProcess server_{LOSSD_BINARY};
};

// The optimum as NumPy finds it, with the dense Hessian (README.md).
TEST_F(IrisNewtonTest, ReachesTheOptimumThatOthersReach) {
  const ProcessResult result = Run({});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NEAR(NumberAfter("\nloss ", result.out), 0.502949421302118, 1e-14);
  EXPECT_NEAR(NumberAfter("\nL-BFGS: loss ", result.out), 0.502949421302118,
              1e-14);
  EXPECT_LE(NumberAfter("parameters at most ", result.out), 1e-6);
  EXPECT_THAT(result.out, HasSubstr("\naccuracy 141 of 150\n"));
}

TEST_F(IrisNewtonTest, DoublesTheRightDigitsWithEachStep) {
  const ProcessResult result = Run({});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::vector<Line> table = TableOf(result.out);
  ASSERT_GE(table.size(), 4) << result.out;
  EXPECT_LE(table.size(), 15);
  int close_steps = 0;
  for (size_t i = 1; i < table.size(); ++i) {
    EXPECT_EQ(table[i].step, static_cast<int>(i));
    EXPECT_LE(table[i].loss, table[i - 1].loss + 1e-15);
    EXPECT_GE(table[i].products, 1);
    EXPECT_EQ(table[i].calls, table[i - 1].calls + table[i].products + 1);
    const double before = table[i - 1].gradient_norm;
    if (before > 1e-2 || before < 1e-7) continue;
    ++close_steps;
    EXPECT_LE(table[i].gradient_norm, 100 * before * before) << result.out;
  }
  EXPECT_GE(close_steps, 2) << result.out;
  EXPECT_LE(table.back().gradient_norm, 1e-13);
}

// The plain loss is half the deviance of the first example, over 150 flowers.
TEST_F(IrisNewtonTest, TakesClassWeightsAndSmoothing) {
  const auto loss = [&](const std::vector<std::string>& flags) {
    const ProcessResult result = Run(flags);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return NumberAfter("\nloss ", result.out);
  };
  EXPECT_NEAR(loss({"--class-weights", "1,1,1", "--label-smoothing", "0"}),
              11.898547 / 300, 1e-8);
  EXPECT_GT(std::abs(loss({"--class-weights", "1,1,1"}) - loss({})), 1e-3);
  EXPECT_GT(std::abs(loss({"--label-smoothing", "0.2"}) - loss({})), 1e-3);
}

TEST_F(IrisNewtonTest, DrawsBothWaysDown) {
  const testing::TestDirectory directory;
  ASSERT_EQ(Run({"--plot", directory.Path("newton.svg")}).exit_code, 0);
  const std::string svg = directory.Read("newton.svg");
  EXPECT_THAT(svg, StartsWith("<svg "));
  for (const char* part : {">Newton</text>", ">L-BFGS</text>", "calls to lossd",
                           "norm of the gradient"}) {
    EXPECT_THAT(svg, HasSubstr(part));
  }
}

TEST_F(IrisNewtonTest, PassesOnWhatIsRefused) {
  const ProcessResult weights = Run({"--class-weights", "1,2"});
  EXPECT_EQ(weights.exit_code, 1);
  EXPECT_THAT(weights.err, HasSubstr("class_weights has 2 elements, want 3"));
  const ProcessResult smoothing = Run({"--label-smoothing", "1.5"});
  EXPECT_EQ(smoothing.exit_code, 1);
  EXPECT_THAT(smoothing.err, HasSubstr("label_smoothing = 1.5, want [0, 1]"));
}

}  // namespace
}  // namespace lossd::iris
