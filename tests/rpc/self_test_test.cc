#include "server/rpc/self_test.h"

#include <gtest/gtest.h>

namespace lossd::rpc {
namespace {

TEST(SelfTestTest, PassesOnThisMachine) {
  compute::ThreadPool pool(2);
  EXPECT_TRUE(RunSelfTest(pool).ok()) << RunSelfTest(pool);
}

}  // namespace
}  // namespace lossd::rpc
