// lossctl: the command line of lossd.
#include <stdlib.h>

#include <cstdio>
#include <exception>

#include "client/flags/seconds.h"
#include "client/lossctl/command.h"
#include "client/lossctl/loss_flags.h"

namespace {

int Run(int argc, char** argv) {
  using namespace lossd::lossctl;  // NOLINT: main's own room
  CLI::App app("Calls lossd: losses of batched logits and their gradients");
  CommonFlags common;
  Command command;
  // That there is one is looked at last: a misspelt one is named first.
  app.require_subcommand(0, 1);
  app.fallthrough();
  lossd::AddTargetFlags(app, &common.server);
  app.add_option("--timeout", common.timeout_seconds,
                 "The most time for the whole command, for bench of each call, "
                 "in seconds")
      ->check(lossd::SecondsCheck())
      ->capture_default_str();
  app.add_flag("--json", common.json, "Print one JSON object");
  AddCompute(app, common, &command);
  AddExplain(app, common, &command);
  AddCheckGradient(app, common, &command);
  AddHvp(app, common, &command);
  AddInfo(app, common, &command);
  AddHealth(app, common, &command);
  AddBench(app, common, &command);
  app.footer(LossHelp());
  try {
    app.parse(argc, argv);
    if (!command) throw CLI::RequiredError("A subcommand");
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kBadUsage;
  }
  return command();
}

}  // namespace

int main(int argc, char** argv) {
  // gRPC logs handshakes that fail: our own message says as much, on one line.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  try {
    return Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lossctl: %s\n", error.what());
    return lossd::lossctl::kFailed;
  }
}
