#include "client/lossctl/output_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

namespace lossd::lossctl {

OutputFile::OutputFile(std::string path, std::string temporary_path)
    : path_(std::move(path)),
      temporary_path_(std::move(temporary_path)),
      stream_(temporary_path_, std::ios::binary | std::ios::trunc) {}

OutputFile::~OutputFile() { std::remove(temporary_path_.c_str()); }

absl::StatusOr<std::unique_ptr<OutputFile>> OutputFile::Create(
    const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (std::filesystem::exists(status) &&
      !std::filesystem::is_regular_file(status)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is there and is no regular file"));
  }
  std::unique_ptr<OutputFile> file(
      new OutputFile(path, absl::StrCat(path, ".", getpid(), ".tmp")));
  if (!file->stream_) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", std::strerror(errno)));
  }
  return file;
}

absl::Status OutputFile::Write(const std::string& bytes) {
  stream_.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  stream_.close();
  if (stream_) return absl::OkStatus();
  return absl::UnknownError(
      absl::StrCat(temporary_path_, ": ", std::strerror(errno)));
}

absl::Status OutputFile::Commit() {
  if (std::rename(temporary_path_.c_str(), path_.c_str()) == 0) {
    return absl::OkStatus();
  }
  return absl::UnknownError(absl::StrCat(path_, ": ", std::strerror(errno)));
}

absl::Status OutputFiles::Open(const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  if (files_.count(path) > 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": named for two outputs"));
  }
  auto file = OutputFile::Create(path);
  if (!file.ok()) return file.status();
  files_[path] = *std::move(file);
  return absl::OkStatus();
}

absl::Status OutputFiles::CommitAll() {
  absl::Status status;
  for (auto& [path, file] : files_) status.Update(file->Commit());
  return status;
}

}  // namespace lossd::lossctl
