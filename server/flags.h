// The command line of lossd.
#ifndef LOSSD_SERVER_FLAGS_H_
#define LOSSD_SERVER_FLAGS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "server/rpc/event_log.h"
#include "server/rpc/options.h"

namespace lossd {

// What the command line came to: options to run with, or a code to exit with.
struct Flags {
  rpc::Options options;
  std::string http_listen;  // HOST:PORT; empty: no HTTP
  int64_t http_max_body_bytes = 0;
  rpc::LogFormat log_format = rpc::LogFormat::kText;
  std::optional<int> exit_code;
};

// Reads the flags, for those not given the environment (LOSSD_...), then the
// file of --config, then the defaults. --help and --version print to stdout and
// ask to exit with 0; an unknown flag or key and a bad value print one line to
// stderr and ask to exit with 2.
Flags ParseFlags(int argc, const char* const* argv);

}  // namespace lossd

#endif  // LOSSD_SERVER_FLAGS_H_
