// lossctl health: whether the server takes calls; fit for container probes.
#include <fmt/core.h>

#include <memory>
#include <string>

#include "client/lossctl/command.h"

namespace lossd::lossctl {
namespace {

const char* HealthName(Health health) {
  switch (health) {
    case Health::kServing:
      return "SERVING";
    case Health::kNotServing:
      return "NOT_SERVING";
    case Health::kUnknown:
      return "UNKNOWN";
  }
  return "UNKNOWN";
}

int RunHealth(const CommonFlags& common, const std::string& service) {
  const CallOptions call = CallOptionsFrom(common);
  const auto client = ConnectClient(common);
  if (!client.ok()) return BadUsage(client.status());
  const auto health = client->CheckHealth(service, call);
  if (!health.ok()) return Fail(common, health.status());
  if (common.json) {
    PrintJson({{"service", service}, {"status", HealthName(*health)}});
  } else {
    fmt::print("{}\n", HealthName(*health));
  }
  return *health == Health::kServing ? kDone : kFailed;
}

}  // namespace

void AddHealth(CLI::App& app, const CommonFlags& common, Command* chosen) {
  CLI::App* health = app.add_subcommand(
      "health", "Show the server's health; exit code 0 only when SERVING");
  const auto service = std::make_shared<std::string>();
  health->add_option("--service", *service,
                     "The service to ask about (default: the whole server)");
  health->callback([&common, chosen, service] {
    *chosen = [&common, service] { return RunHealth(common, *service); };
  });
}

}  // namespace lossd::lossctl
