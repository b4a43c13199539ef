// Files that options name.
#ifndef LOSSD_SERVER_RPC_FILES_H_
#define LOSSD_SERVER_RPC_FILES_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lossd::rpc {

// The contents of the file that `option` names, at most 16 MiB.
// Errors: FailedPrecondition: "OPTION = PATH, want a file to read: REASON".
absl::StatusOr<std::string> ReadFile(std::string_view option,
                                     const std::string& path);

// FAILED_PRECONDITION: "OPTION = PATH, want WANT".
absl::Status BadFile(std::string_view option, const std::string& path,
                     std::string_view want);

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_FILES_H_
