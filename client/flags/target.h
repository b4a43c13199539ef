#ifndef LOSSD_CLIENT_FLAGS_TARGET_H_
#define LOSSD_CLIENT_FLAGS_TARGET_H_

#include <string>

#include "CLI/CLI.hpp"
#include "client/lossd/options.h"

namespace lossd {

// Where the server is and whether TLS leads there.
struct TargetFlags {
  std::string target = "127.0.0.1:50051";
  bool tls = false;
  TlsOptions tls_options;
};

// Adds --target, --tls and those that imply it: --tls-ca, --tls-certificate,
// --tls-key and --tls-server-name, each with a variable of the environment.
// `*flags` outlives the parse.
void AddTargetFlags(CLI::App& app, TargetFlags* flags);

// What a client needs to get there.
ClientOptions ClientOptionsFrom(const TargetFlags& flags);

}  // namespace lossd

#endif  // LOSSD_CLIENT_FLAGS_TARGET_H_
