#include "client/examples/program/program.h"

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <utility>

#include "client/flags/seconds.h"

namespace lossd::examples {

Program::Program(std::string name, const std::string& about)
    : name_(std::move(name)), app_(about) {
  AddTargetFlags(app_, &server_);
  app_.add_option("--timeout", seconds_per_call_,
                  "The most time for each call, in seconds")
      ->check(SecondsCheck())
      ->capture_default_str();
}

int Program::Main(int argc, char** argv,
                  const std::function<int(const Client&)>& run) try {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app_.exit(error) == 0 ? kDone : kBadUsage;
  }
  const auto client = Client::Connect(ClientOptionsFrom(server_));
  if (!client.ok()) return Fail(client.status(), kBadUsage);
  return run(*client);
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s: %s\n", name_.c_str(), error.what());
  return kFailed;
}

int Program::Fail(const absl::Status& status, int code) const {
  fmt::print(stderr, "{}: {}\n", name_, std::string(status.message()));
  return code;
}

}  // namespace lossd::examples
