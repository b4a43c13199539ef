#ifndef LOSSD_CLIENT_LOSSCTL_OUTPUT_FILE_H_
#define LOSSD_CLIENT_LOSSCTL_OUTPUT_FILE_H_

#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/lossctl/npy.h"

namespace lossd::lossctl {

// A file that appears whole or not at all: it is written beside its place and
// renamed into it by Commit. Without Commit nothing is left behind.
class OutputFile {
 public:
  // Opens a temporary file in the directory of `path`.
  // Errors: InvalidArgument: it cannot be made; `path` is there and is no
  // regular
  //   file.
  static absl::StatusOr<std::unique_ptr<OutputFile>> Create(
      const std::string& path);

  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();

  const std::string& path() const { return path_; }

  // Errors: Unknown: the system's message, as on a full disk.
  absl::Status Write(const std::string& bytes);
  absl::Status Commit();

 private:
  OutputFile(std::string path, std::string temporary_path);

  const std::string path_;
  const std::string temporary_path_;
  std::ofstream stream_;
};

// The files to write, opened before the server is called: a path that cannot be
// written costs no computation. An empty path: not wanted.
class OutputFiles {
 public:
  // Errors: InvalidArgument: what OutputFile::Create says; a path named twice.
  absl::Status Open(const std::string& path);

  // Writes a .npy file. T is float, double or int64_t. REQUIRES: `path` was
  // opened; as many values as `shape` holds. Errors: those of
  // OutputFile::Write.
  template <typename T>
  absl::Status Write(const std::string& path, const std::vector<T>& values,
                     const Shape& shape) {
    if (path.empty()) return absl::OkStatus();
    return files_.at(path)->Write(NpyBytes(values, shape));
  }

  // Puts every file in its place. Errors: those of OutputFile::Commit.
  absl::Status CommitAll();

 private:
  std::map<std::string, std::unique_ptr<OutputFile>> files_;
};

}  // namespace lossd::lossctl

#endif  // LOSSD_CLIENT_LOSSCTL_OUTPUT_FILE_H_
