#ifndef LOSSD_CLIENT_LOSSCTL_COMMAND_H_
#define LOSSD_CLIENT_LOSSCTL_COMMAND_H_

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "client/flags/target.h"
#include "client/lossd/client.h"

namespace lossd::lossctl {

// Exit codes, a contract with scripts.
constexpr int kDone = 0;
constexpr int kFailed = 1;    // the service refused or failed
constexpr int kBadUsage = 2;  // flags or input files are wrong

// What every subcommand takes.
struct CommonFlags {
  TargetFlags server;
  double timeout_seconds = 30.0;
  bool json = false;
};

// A subcommand with its flags parsed: runs and returns the exit code.
using Command = std::function<int()>;

// Each adds its subcommand to `app`; when that is the one given, parsing sets
// `*chosen`. `app`, `common` and `*chosen` outlive the parse and the run.
void AddCompute(CLI::App& app, const CommonFlags& common, Command* chosen);
void AddExplain(CLI::App& app, const CommonFlags& common, Command* chosen);
void AddCheckGradient(CLI::App& app, const CommonFlags& common,
                      Command* chosen);
void AddHvp(CLI::App& app, const CommonFlags& common, Command* chosen);
void AddInfo(CLI::App& app, const CommonFlags& common, Command* chosen);
void AddHealth(CLI::App& app, const CommonFlags& common, Command* chosen);
void AddBench(CLI::App& app, const CommonFlags& common, Command* chosen);

// A client for `common.server`, and the deadline of a command that starts now.
absl::StatusOr<Client> ConnectClient(const CommonFlags& common);
CallOptions CallOptionsFrom(const CommonFlags& common);

// Prints `status` on stderr, as "lossctl: CODE: message", and returns kFailed;
// with --json also an object {"error": ...} on stdout.
int Fail(const CommonFlags& common, const absl::Status& status);

// Prints the message of `status` on stderr and returns kBadUsage.
int BadUsage(const absl::Status& status);

// Ordered as written. JSON has no NaN and no infinities: they become the
// strings "NaN", "Infinity" and "-Infinity", as protobuf's JSON has them.
using Json = nlohmann::ordered_json;
Json JsonNumber(double value);
Json JsonNumbers(absl::Span<const double> values);
void PrintJson(const Json& json);

}  // namespace lossd::lossctl

#endif  // LOSSD_CLIENT_LOSSCTL_COMMAND_H_
