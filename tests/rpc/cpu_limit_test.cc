#include "server/rpc/cpu_limit.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace lossd::rpc {
namespace {

// A file system of its own, as a container's.
class CpuLimitTest : public testing::Test {
 protected:
  CpuLimitTest() {
    std::string name = testing::TempDir() + "cpu_limit_XXXXXX";
    root_ = mkdtemp(name.data());
  }
  ~CpuLimitTest() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  std::string root_;
};

TEST_F(CpuLimitTest, IsNothingWithoutControlGroups) {
  EXPECT_EQ(CgroupCpuQuota(root_), std::nullopt);
}

TEST_F(CpuLimitTest, ReadsVersion2) {
  Write("/proc/self/cgroup", "0::/\n");
  Write("/sys/fs/cgroup/cpu.max", "150000 100000\n");
  EXPECT_EQ(CgroupCpuQuota(root_), 1.5);
}

TEST_F(CpuLimitTest, IsNothingForMax) {
  Write("/proc/self/cgroup", "0::/\n");
  Write("/sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(CgroupCpuQuota(root_), std::nullopt);
}

TEST_F(CpuLimitTest, TakesTheSmallestOnTheWayUp) {
  Write("/proc/self/cgroup", "0::/outer/inner\n");
  Write("/sys/fs/cgroup/outer/inner/cpu.max", "400000 100000\n");
  Write("/sys/fs/cgroup/outer/cpu.max", "200000 100000\n");
  EXPECT_EQ(CgroupCpuQuota(root_), 2.0);
}

TEST_F(CpuLimitTest, ReadsTheMountWhereThePathIsNotVisible) {
  Write("/proc/self/cgroup", "0::/docker/abc\n");
  Write("/sys/fs/cgroup/cpu.max", "300000 100000\n");
  EXPECT_EQ(CgroupCpuQuota(root_), 3.0);
}

TEST_F(CpuLimitTest, ReadsVersion1) {
  Write("/proc/self/cgroup", "4:memory:/\n3:cpu,cpuacct:/group\n");
  Write("/sys/fs/cgroup/cpu/group/cpu.cfs_quota_us", "250000\n");
  Write("/sys/fs/cgroup/cpu/group/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(CgroupCpuQuota(root_), 2.5);
}

TEST_F(CpuLimitTest, IsNothingForAQuotaOfMinusOne) {
  Write("/proc/self/cgroup", "3:cpu:/\n");
  Write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  Write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(CgroupCpuQuota(root_), std::nullopt);
}

TEST_F(CpuLimitTest, SkipsLinesItCannotRead) {
  Write("/proc/self/cgroup", "\n:\nnonsense\n0::\n0::/\n");
  Write("/sys/fs/cgroup/cpu.max", "words\n");
  EXPECT_EQ(CgroupCpuQuota(root_), std::nullopt);
}

TEST_F(CpuLimitTest, StaysWithinTheAffinityMask) {
  cpu_set_t mask;
  ASSERT_EQ(sched_getaffinity(0, sizeof(mask), &mask), 0);
  EXPECT_GE(UsableCpus(), 1);
  EXPECT_LE(UsableCpus(), CPU_COUNT(&mask));
}

}  // namespace
}  // namespace lossd::rpc
