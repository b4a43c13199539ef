#include "client/lossctl/derivation.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lossd::lossctl {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(DerivationTest, ComputesTheTextbookSample) {
  const Derivation d = Derive({2, 1, 0.1}, 0);
  EXPECT_THAT(d.p, ElementsAre(DoubleNear(0.6590011388859679, 1e-15),
                               DoubleNear(0.2424329707047139, 1e-15),
                               DoubleNear(0.09856589040931818, 1e-15)));
  EXPECT_THAT(d.loss, DoubleNear(0.4170300162778335, 1e-15));
  EXPECT_THAT(d.log_p_y, DoubleNear(-0.4170300162778335, 1e-15));
  EXPECT_THAT(d.gradient, ElementsAre(DoubleNear(-0.3409988611140321, 1e-15),
                                      DoubleNear(0.2424329707047139, 1e-15),
                                      DoubleNear(0.09856589040931818, 1e-15)));
}

TEST(DerivationTest, ReachesTheSameGradientByTheProductRule) {
  const Derivation d = Derive({-1, 0.5, 3, 2}, 1);
  for (size_t i = 0; i < d.z.size(); ++i) {
    EXPECT_NEAR(-d.dp_y[i] / d.p[d.y], d.gradient[i], 1e-15);
  }
}

TEST(DerivationTest, StaysFiniteAtItsBounds) {
  const Derivation d = Derive({-300, 300}, 0);
  EXPECT_DOUBLE_EQ(d.loss, 600);
  EXPECT_DOUBLE_EQ(d.gradient[0], -1);
  EXPECT_THAT(DerivationText(d), Not(HasSubstr("nan")));
  EXPECT_THAT(DerivationText(d), Not(HasSubstr("inf")));
}

TEST(DerivationTest, WritesNoNegativeZeroForACertainClass) {
  const Derivation d = Derive({5}, 0);
  EXPECT_EQ(d.loss, 0.0);
  EXPECT_EQ(d.gradient[0], 0.0);
  EXPECT_THAT(DerivationText(d), HasSubstr("loss = -ln 1 = 0\n"));
  EXPECT_THAT(DerivationText(d), Not(HasSubstr(" -0\n")));
}

TEST(DerivationTest, WritesEachLineWithItsNumbers) {
  const std::string text = DerivationText(Derive({2, 1, 0.1}, 0));
  for (const char* line :
       {"loss = -ln P_y", "loss = -ln 0.659001 = 0.41703", "S =    11.2125",
        "= 2 - 2.41703", "-1/P_y = -1.51745",
        "      0      0.659001     -0.434283      0.224719     -0.340999",
        "      1      0.242433             0      0.242433",
        "= P_i - [i = y]"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

}  // namespace
}  // namespace lossd::lossctl
