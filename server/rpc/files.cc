#include "server/rpc/files.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "server/compute/error.h"

namespace lossd::rpc {
namespace {

// A device that never ends is no file of certificates.
constexpr size_t kMaxBytes = size_t{16} << 20;

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

absl::Status Unreadable(std::string_view option, const std::string& path,
                        std::string_view reason) {
  return BadFile(option, path, fmt::format("a file to read: {}", reason));
}

}  // namespace

absl::StatusOr<std::string> ReadFile(std::string_view option,
                                     const std::string& path) {
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) return Unreadable(option, path, std::strerror(errno));
  std::string contents;
  char buffer[4096];
  size_t bytes = 0;
  while ((bytes = std::fread(buffer, 1, sizeof(buffer), file.get())) > 0) {
    contents.append(buffer, bytes);
    if (contents.size() > kMaxBytes) {
      return Unreadable(option, path,
                        fmt::format("more than {} bytes", kMaxBytes));
    }
  }
  if (std::ferror(file.get()) != 0) {
    return Unreadable(option, path, std::strerror(errno));
  }
  return contents;
}

absl::Status BadFile(std::string_view option, const std::string& path,
                     std::string_view want) {
  return compute::MakeError(absl::StatusCode::kFailedPrecondition,
                            fmt::format("{} = {}, want {}", option, path, want),
                            {"BAD_FILE",
                             "",
                             {{"option", std::string(option)},
                              {"path", path},
                              {"want", std::string(want)}}});
}

}  // namespace lossd::rpc
