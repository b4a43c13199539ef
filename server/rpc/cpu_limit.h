// How many CPUs this process may use.
#ifndef LOSSD_SERVER_RPC_CPU_LIMIT_H_
#define LOSSD_SERVER_RPC_CPU_LIMIT_H_

#include <optional>
#include <string>

namespace lossd::rpc {

// The CPU quota of this process's control group and of those above it, the
// smallest: 1.5 means one and a half CPUs. Nothing where there is none. Reads
// version 2 (cpu.max) and version 1 (cpu.cfs_quota_us) below `root`, the file
// system's root: "" for the real one.
std::optional<double> CgroupCpuQuota(const std::string& root);

// The number of threads worth starting: the smaller of the affinity mask and
// the quota, rounded down, at least 1.
int UsableCpus();

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_CPU_LIMIT_H_
