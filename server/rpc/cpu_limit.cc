#include "server/rpc/cpu_limit.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace lossd::rpc {
namespace {

void TakeSmaller(double quota, std::optional<double>& smallest) {
  smallest = std::min(smallest.value_or(quota), quota);
}

// "150000 100000" in version 2, "max 100000" where there is no quota.
void ReadVersion2(const std::string& directory,
                  std::optional<double>& smallest) {
  std::ifstream file(directory + "/cpu.max");
  double quota_us = 0, period_us = 0;
  if (file >> quota_us >> period_us && quota_us > 0 && period_us > 0) {
    TakeSmaller(quota_us / period_us, smallest);
  }
}

// A quota of -1 in version 1 where there is none.
void ReadVersion1(const std::string& directory,
                  std::optional<double>& smallest) {
  std::ifstream quota(directory + "/cpu.cfs_quota_us");
  std::ifstream period(directory + "/cpu.cfs_period_us");
  double quota_us = 0, period_us = 0;
  if (quota >> quota_us && period >> period_us && quota_us > 0 &&
      period_us > 0) {
    TakeSmaller(quota_us / period_us, smallest);
  }
}

// Reads `path` and each directory above it up to `mount`. A path that a
// container does not see leaves its mount's own files, which are then the right
// ones.
template <typename Read>
void ReadUpwards(const std::string& mount, std::string path, Read read) {
  while (!path.empty() && path != "/") {
    read(mount + path);
    path.resize(path.rfind('/'));
  }
  read(mount);
}

}  // namespace

std::optional<double> CgroupCpuQuota(const std::string& root) {
  std::optional<double> smallest;
  std::ifstream groups(root + "/proc/self/cgroup");
  // Each line: hierarchy:controllers:path; in version 2 "0::path".
  for (std::string line; std::getline(groups, line);) {
    std::istringstream fields(line);
    std::string hierarchy, controllers, path;
    std::getline(fields, hierarchy, ':');
    std::getline(fields, controllers, ':');
    std::getline(fields, path);
    if (path.empty() || path[0] != '/') continue;
    if (controllers.empty()) {
      ReadUpwards(root + "/sys/fs/cgroup", path,
                  [&](const std::string& at) { ReadVersion2(at, smallest); });
    } else if ((',' + controllers + ',').find(",cpu,") != std::string::npos) {
      ReadUpwards(root + "/sys/fs/cgroup/cpu", path,
                  [&](const std::string& at) { ReadVersion1(at, smallest); });
    }
  }
  return smallest;
}

int UsableCpus() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  int cpus = 1;
  if (sched_getaffinity(0, sizeof(mask), &mask) == 0) cpus = CPU_COUNT(&mask);
  if (const std::optional<double> quota = CgroupCpuQuota("")) {
    cpus = std::min(cpus, static_cast<int>(std::min(*quota, 1e6)));
  }
  return std::max(cpus, 1);
}

}  // namespace lossd::rpc
