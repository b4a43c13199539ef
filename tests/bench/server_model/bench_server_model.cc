// Compares gRPC's server models for lossd: docs/adr/0001-server-model.md.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "tests/bench/server_model/measure.h"
#include "tests/bench/server_model/model.h"
#include "tests/bench/server_model/report.h"

namespace {

using lossd::bench::Model;
using lossd::bench::ModelConfig;

std::vector<ModelConfig> Configs() {
  return {
      {.name = "plain socket", .model = Model::kSocket},
      {.name = "callback unary", .model = Model::kCallbackUnary},
      {.name = "callback bidi", .model = Model::kCallbackBidi},
      {.name = "callback bidi, worker",
       .model = Model::kCallbackBidi,
       .worker = true},
      {.name = "queue unary", .model = Model::kQueueUnary},
      {.name = "queue bidi", .model = Model::kQueueBidi},
      {.name = "queue bidi, worker",
       .model = Model::kQueueBidi,
       .worker = true},
      {.name = "queue bidi, 2 pollers",
       .model = Model::kQueueBidi,
       .poll_threads = 2},
      {.name = "queue bidi, 2 pollers, worker",
       .model = Model::kQueueBidi,
       .poll_threads = 2,
       .worker = true},
      {.name = "queue bidi, worker, no BDP probe",
       .model = Model::kQueueBidi,
       .worker = true,
       .bdp_probe = false},
  };
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Compares gRPC's server models as lossd would use them.");
  bool json = false;
  std::set<std::string> parts = {"holding", "throughput", "idle"};
  std::vector<std::string> only;
  std::string lossd;
  int held_calls = 4;
  bool no_bdp_probe = false;
  int served_model = -1;
  ModelConfig served{.name = "served"};
  app.add_flag("--json", json, "Print JSON instead of tables");
  app.add_option("--parts", parts, "Which of holding, throughput, idle to run")
      ->delimiter(',');
  app.add_option("--lossd", lossd, "The lossd to measure beside the models");
  app.add_option("--only", only, "Only the model of this name; repeatable");
  app.add_option("--held-calls", held_calls, "Unread 64 MiB messages");
  app.add_option("--serve", served_model, "Serve a model (used by itself)");
  app.add_option("--poll-threads", served.poll_threads, "With --serve");
  app.add_flag("--worker", served.worker, "With --serve");
  app.add_flag("--hold", served.hold, "With --serve");
  app.add_flag("--no-bdp-probe", no_bdp_probe, "With --serve");
  CLI11_PARSE(app, argc, argv);
  if (served_model >= 0) {
    served.model = static_cast<Model>(served_model);
    served.bdp_probe = !no_bdp_probe;
    return lossd::bench::Serve(served);
  }
  std::vector<lossd::bench::Result> results;
  std::vector<ModelConfig> configs = Configs();
  if (!lossd.empty()) {
    configs.push_back(
        {.name = "lossd", .model = Model::kLossd, .program = lossd});
  }
  for (const ModelConfig& config : configs) {
    const bool wanted = std::count(only.begin(), only.end(), config.name) > 0;
    if (!only.empty() && !wanted) continue;
    results.emplace_back().config = config;
  }
  if (parts.count("holding") > 0) {
    lossd::bench::MeasureHolding(results, held_calls);
  }
  if (parts.count("throughput") > 0) lossd::bench::MeasureThroughput(results);
  if (parts.count("idle") > 0) lossd::bench::MeasureIdle(results);
  if (json) {
    lossd::bench::PrintJson(results);
  } else {
    lossd::bench::PrintTables(results);
  }
}
