#include "server/rpc/policy_file.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "server/rpc/files.h"

namespace lossd::rpc {
namespace {

constexpr char kOption[] = "authorization_policy";

absl::StatusOr<AuthorizationPolicy> Parse(const std::string& path,
                                          const std::string& contents) {
  absl::StatusOr<AuthorizationPolicy> policy =
      AuthorizationPolicy::Parse(contents);
  if (policy.ok()) return policy;
  std::string reason(policy.status().message());
  std::replace(reason.begin(), reason.end(), '\n', ' ');
  return BadFile(kOption, path,
                 fmt::format("a gRPC authorization policy: {}", reason));
}

}  // namespace

absl::StatusOr<std::unique_ptr<PolicyFile>> PolicyFile::Open(
    const std::string& path, std::chrono::milliseconds reload) {
  absl::StatusOr<std::string> contents = ReadFile(kOption, path);
  if (!contents.ok()) return contents.status();
  absl::StatusOr<AuthorizationPolicy> policy = Parse(path, *contents);
  if (!policy.ok()) return policy.status();
  std::unique_ptr<PolicyFile> file(
      new PolicyFile(path, *std::move(contents), *std::move(policy)));
  file->reloader_ = std::thread([self = file.get(), reload] {
    std::unique_lock<std::mutex> lock(self->mutex_);
    while (!self->stop_asked_.wait_for(lock, reload,
                                       [self] { return self->stop_; })) {
      lock.unlock();
      self->Reload();
      ++self->reads_;
      lock.lock();
    }
  });
  return file;
}

PolicyFile::PolicyFile(std::string path, std::string contents,
                       AuthorizationPolicy policy)
    : path_(std::move(path)),
      policy_(std::make_shared<const AuthorizationPolicy>(std::move(policy))),
      contents_(std::move(contents)) {}

PolicyFile::~PolicyFile() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  stop_asked_.notify_all();
  reloader_.join();
}

std::shared_ptr<const AuthorizationPolicy> PolicyFile::policy() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return policy_;
}

// Runs on the reloader's thread, which alone uses contents_.
void PolicyFile::Reload() {
  absl::StatusOr<std::string> contents = ReadFile(kOption, path_);
  if (contents.ok() && *contents == contents_) return;
  absl::StatusOr<AuthorizationPolicy> policy =
      contents.ok() ? Parse(path_, *contents) : contents.status();
  if (contents.ok()) contents_ = *std::move(contents);
  if (!policy.ok()) {
    spdlog::error("event=policy_kept reason=\"{}\"",
                  std::string(policy.status().message()));
    return;
  }
  spdlog::info("event=policy_reloaded path={}", path_);
  auto fresh = std::make_shared<const AuthorizationPolicy>(*std::move(policy));
  const std::lock_guard<std::mutex> lock(mutex_);
  policy_ = std::move(fresh);
}

}  // namespace lossd::rpc
