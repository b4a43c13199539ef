// lossctl hvp against a server that computes.
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "client/lossctl/npy.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/process.h"

namespace lossd::lossctl {
namespace {

using ::testing::HasSubstr;
using testing::ProcessResult;

class LossctlHvpTest : public ::testing::Test {
 protected:
  // `more` after the files of two rows of two classes.
  ProcessResult Hvp(const std::vector<std::string>& more = {}) {
    directory_.Write(
        "z.npy", NpyBytes(std::vector<double>{0, 0, std::log(3.0), 0}, {2, 2}));
    directory_.Write("y.npy", NpyBytes(std::vector<int64_t>{0, 1}, {2}));
    directory_.Write("v.npy",
                     NpyBytes(std::vector<double>{1, 0, 0, 1}, {2, 2}));
    std::vector<std::string> arguments = {
        LOSSCTL_BINARY,   "--target",
        server_.target(), "hvp",
        "--logits",       directory_.Path("z.npy"),
        "--labels",       directory_.Path("y.npy"),
        "--vector",       directory_.Path("v.npy"),
        "--product-out",  directory_.Path("p.npy")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return testing::RunProcess(arguments);
  }

  testing::ServerProcess server_{LOSSD_BINARY};
  testing::TestDirectory directory_;
};

// p = (1/2, 1/2) and (3/4, 1/4): p_0 p_1 (v_0 - v_1), and half of that.
TEST_F(LossctlHvpTest, WritesTheProduct) {
  const ProcessResult result = Hvp();
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto product = ReadNpy(directory_.Path("p.npy"));
  ASSERT_TRUE(product.ok()) << product.status();
  const auto values = FloatsOf<double>("p.npy", *product);
  ASSERT_TRUE(values.ok()) << values.status();
  const std::vector<double> want = {1 / 8.0, -1 / 8.0, -3 / 32.0, 3 / 32.0};
  ASSERT_EQ(values->size(), 4u);
  for (int i = 0; i < 4; ++i) EXPECT_DOUBLE_EQ((*values)[i], want[i]);
}

TEST_F(LossctlHvpTest, SaysWhichLossHasNoSecondOrder) {
  const ProcessResult result = Hvp({"--loss", "multiclass_hinge"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err,
              HasSubstr("UNIMPLEMENTED: loss \"multiclass_hinge\" has no "
                        "second order in this build"));
}

}  // namespace
}  // namespace lossd::lossctl
