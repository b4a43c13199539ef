// A file with an authorization policy, read again when it changes.
#ifndef LOSSD_SERVER_RPC_POLICY_FILE_H_
#define LOSSD_SERVER_RPC_POLICY_FILE_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "server/rpc/authorization.h"

namespace lossd::rpc {

// Threads: all members may be called from any thread.
class PolicyFile {
 public:
  // Reads the policy at `path`, and again every `reload`. Contents that are no
  // policy leave the last one in force, with a line in the log.
  // Errors: FailedPrecondition: a file that cannot be read; no policy.
  static absl::StatusOr<std::unique_ptr<PolicyFile>> Open(
      const std::string& path, std::chrono::milliseconds reload);
  ~PolicyFile();

  PolicyFile(const PolicyFile&) = delete;
  PolicyFile& operator=(const PolicyFile&) = delete;

  // How often the file was read again.
  int64_t reads() const { return reads_; }

  // The policy in force.
  std::shared_ptr<const AuthorizationPolicy> policy() const;

 private:
  PolicyFile(std::string path, std::string contents,
             AuthorizationPolicy policy);

  void Reload();

  const std::string path_;
  mutable std::mutex mutex_;
  std::condition_variable stop_asked_;
  bool stop_ = false;
  std::shared_ptr<const AuthorizationPolicy> policy_;
  // As read last, a policy or not: what did not change is not told of again.
  std::string contents_;
  std::atomic<int64_t> reads_{0};
  std::thread reloader_;
};

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_POLICY_FILE_H_
