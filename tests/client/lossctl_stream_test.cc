// lossctl compute --stream.
#include <cstdint>
#include <string>
#include <vector>

#include "client/lossctl/npy.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/process.h"

namespace lossd::lossctl {
namespace {

using ::testing::ElementsAre;
using testing::ProcessResult;
using Arguments = std::vector<std::string>;

class LossctlStreamTest : public ::testing::Test {
 protected:
  LossctlStreamTest() {
    std::vector<float> logits;
    for (int i = 0; i < 24; ++i) {
      logits.push_back(static_cast<float>(i * 7 % 24) * 0.37f - 4.0f);
    }
    directory_.Write("z.npy", NpyBytes(logits, {2, 3, 4}));
    directory_.Write("y.npy",
                     NpyBytes(std::vector<int64_t>{0, 1, 2, 3, 0, 1}, {2, 3}));
    directory_.Write("y0.npy", NpyBytes(std::vector<int64_t>(12), {3, 4}));
  }

  ProcessResult Compute(const Arguments& more,
                        const std::string& labels = "y.npy") {
    Arguments arguments = {LOSSCTL_BINARY,   "compute",   "--target",
                           server_.target(), "--logits",  Path("z.npy"),
                           "--labels",       Path(labels)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return testing::RunProcess(arguments);
  }
  std::string Path(const std::string& name) const {
    return directory_.Path(name);
  }

  testing::TestDirectory directory_;
  testing::ServerProcess server_{LOSSD_BINARY};
};

TEST_F(LossctlStreamTest, WritesWhatOneMessageWrites) {
  const auto compute = [&](const std::string& prefix, Arguments more) {
    for (const char* output :
         {"gradient", "row-losses", "log-sum-exp", "predictions"}) {
      more.push_back(std::string("--") + output + "-out");
      more.push_back(Path(prefix + output));
    }
    const ProcessResult result = Compute(more);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err, "");  // no bar where there is no terminal
  };
  compute("a_", {});
  compute("b_", {"--stream"});
  for (const char* output :
       {"gradient", "row-losses", "log-sum-exp", "predictions"}) {
    EXPECT_EQ(directory_.Read(std::string("b_") + output),
              directory_.Read(std::string("a_") + output));
  }
  const ProcessResult one = Compute({}), stream = Compute({"--stream"});
  EXPECT_EQ(stream.out, one.out);
}

TEST_F(LossctlStreamTest, TakesTheLastAxisByEitherNumber) {
  EXPECT_EQ(Compute({"--stream", "--class-axis", "2"}).exit_code, 0);
}

TEST_F(LossctlStreamTest, RefusesWhatNoStreamCanBe) {
  const auto message = [&](const Arguments& more, const std::string& labels) {
    Arguments arguments = {"--stream"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProcessResult result = Compute(arguments, labels);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.out, "");
    return result.err;
  };
  EXPECT_EQ(message({"--class-axis", "0"}, "y0.npy"),
            "lossctl: --stream with --class-axis 0, want the last axis: its "
            "chunks are of whole rows\n");
  for (const std::string flag :
       {"--probabilities-out", "--log-probabilities-out"}) {
    EXPECT_EQ(message({flag, Path("p.npy")}, "y.npy"),
              "lossctl: --stream with " + flag +
                  ", want one of them: these come in one message\n");
  }
  EXPECT_THAT(directory_.Names(), ElementsAre("y.npy", "y0.npy", "z.npy"));
}

TEST_F(LossctlStreamTest, PrintsTheServersError) {
  directory_.Write("bad.npy",
                   NpyBytes(std::vector<int64_t>{0, 1, 2, 4, 0, 1}, {2, 3}));
  const ProcessResult result = Compute({"--stream"}, "bad.npy");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err,
            "lossctl: INVALID_ARGUMENT: labels[3] = 4, want [0, 4)\n");
}

}  // namespace
}  // namespace lossd::lossctl
