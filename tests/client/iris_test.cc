#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/process.h"

namespace lossd::iris {
namespace {

using ::testing::HasSubstr;
using testing::ProcessResult;
using testing::RunProcess;
using ::testing::StartsWith;

// The optimum is 11.8985; R's nnet::multinom stops at 11.8997.
TEST(IrisTest, ReachesTheOptimumAndDrawsItsCurve) {
  const testing::ServerProcess server(LOSSD_BINARY);
  const testing::TestDirectory directory;
  const ProcessResult result =
      RunProcess({IRIS_BINARY, "--target", server.target(), "--plot",
                  directory.Path("iris.svg")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::string words = "\nresidual deviance ";
  const size_t at = result.out.find(words);
  ASSERT_NE(at, std::string::npos) << result.out;
  const double deviance = std::stod(result.out.substr(at + words.size()));
  EXPECT_GE(deviance, 11.898);
  EXPECT_LE(deviance, 11.900);
  EXPECT_THAT(result.out, HasSubstr("accuracy 148 of 150 (98.67 %)"));

  const std::string svg = directory.Read("iris.svg");
  EXPECT_THAT(svg, StartsWith("<svg "));
  for (const char* part :
       {"<polyline points='", "iteration of L-BFGS",
        "residual deviance (nats, log scale)", "11.8985", "</svg>"}) {
    EXPECT_THAT(svg, HasSubstr(part));
  }
}

TEST(IrisTest, SaysWhenNobodyListens) {
  const ProcessResult result =
      RunProcess({IRIS_BINARY, "--target", "127.0.0.1:1"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("127.0.0.1:1"));
}

TEST(IrisTest, NamesTheLineOfBadData) {
  const testing::TestDirectory directory;
  const auto message = [&](const std::string& csv) {
    directory.Write("flowers.csv", csv);
    const ProcessResult result =
        RunProcess({IRIS_BINARY, "--data", directory.Path("flowers.csv")});
    EXPECT_EQ(result.exit_code, 2);
    return result.err;
  };
  EXPECT_THAT(message("a,b,species\n1,2,x\n1,wide,y\n"),
              HasSubstr("flowers.csv:3: b is \"wide\", want a finite number"));
  EXPECT_THAT(message("a,b,species\n1,2\n"), HasSubstr("2 fields, want 3"));
  EXPECT_THAT(message("a,b,species\n"), HasSubstr("no flowers"));
  EXPECT_THAT(message("a,b,species\n1,2,x\n2,4,y\n3,6,x\n"),
              HasSubstr("b follows linearly"));
  EXPECT_EQ(
      RunProcess({IRIS_BINARY, "--data", directory.Path("none.csv")}).exit_code,
      2);
}

}  // namespace
}  // namespace lossd::iris
