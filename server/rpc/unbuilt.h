// What a request asks for and this build lacks.
#ifndef LOSSD_SERVER_RPC_UNBUILT_H_
#define LOSSD_SERVER_RPC_UNBUILT_H_

#include <string_view>

#include "absl/status/status.h"
#include "server/rpc/errors.h"

namespace lossd::rpc {

// Remembers the first thing of a request that this build lacks, so that what is
// wrong in any build is found first.
class Unbuilt {
 public:
  // `what` names the thing, found at `field` of the request.
  void Note(std::string_view what, std::string_view field) {
    if (status_.ok()) status_ = NotBuilt(what, field);
  }

  // Ok, or Unimplemented naming the first thing noted.
  const absl::Status& status() const { return status_; }

 private:
  absl::Status status_;
};

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_UNBUILT_H_
