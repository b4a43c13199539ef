#ifndef LOSSD_CLIENT_LOSSCTL_OUTPUT_FILE_H_
#define LOSSD_CLIENT_LOSSCTL_OUTPUT_FILE_H_

#include <fstream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

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

}  // namespace lossd::lossctl

#endif  // LOSSD_CLIENT_LOSSCTL_OUTPUT_FILE_H_
