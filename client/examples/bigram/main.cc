// A character bigram model of names: every loss and every gradient comes from a
// running lossd. README.md beside it says what is to be seen.
#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "client/examples/bigram/model.h"
#include "client/examples/bigram/names.h"
#include "client/examples/bigram/sample.h"
#include "client/examples/bigram/train.h"
#include "client/examples/program/program.h"
#include "client/lossd/client.h"

namespace lossd::bigram {
namespace {

using examples::kBadUsage;
using examples::kDone;
using examples::kFailed;
using examples::Program;

struct Flags {
  std::string names;
  int steps = 1000;
  int samples = 10;
  int64_t seed = 1;
};

constexpr int kShownSteps = 10;

void Show(const Progress& progress) {
  fmt::print("{:4}  {:.6f}  {:<10.3e}  {:5}\n", progress.step, progress.loss,
             progress.gradient_norm, progress.calls);
}

// Softmax of the weights, as the service has it: a row for each character.
absl::StatusOr<std::vector<double>> Probabilities(
    const Client& client, const std::vector<double>& weights,
    double seconds_per_call) {
  std::vector<double> probabilities(weights.size());
  const std::vector<int64_t> labels(kClasses);
  const auto summary = client.ComputeLoss<double>(
      {.rows = kClasses,
       .classes = kClasses,
       .logits = weights,
       .labels = labels},
      {}, CallOptions(absl::Seconds(seconds_per_call)),
      {.probabilities = absl::MakeSpan(probabilities)});
  if (!summary.ok()) return summary.status();
  return probabilities;
}

int Run(const Program& program, const Flags& flags, const Client& client) {
  const auto pairs = ReadNames(flags.names);
  if (!pairs.ok()) return program.Fail(pairs.status(), kBadUsage);
  const Model model(*pairs);
  fmt::print("{} names: {} pairs of {} characters; lossd at {}\n", pairs->names,
             pairs->rows(), kClasses, program.target());
  fmt::print("step  loss      |gradient|  calls\n");
  const auto training =
      Train(client, model, program.seconds_per_call(), flags.steps,
            [](const Progress& progress) {
              const bool shown =
                  progress.step <= 5 || progress.step % kShownSteps == 0;
              if (shown) Show(progress);
            });
  if (!training.ok()) return program.Fail(training.status(), kFailed);
  const auto probabilities =
      Probabilities(client, training->weights, program.seconds_per_call());
  if (!probabilities.ok()) return program.Fail(probabilities.status(), kFailed);

  fmt::print("loss {:.6f} nats per character after {} steps, {} calls\n",
             training->last.loss, training->last.step, training->last.calls);
  fmt::print("optimum {:.6f}, of the counted pairs\n", model.Optimum());
  fmt::print("each loss and gradient {:.1f} ms, {:.1f} of it the call\n",
             training->evaluation_ms, training->call_ms);
  for (const std::string& name : SampleNames(
           *probabilities, flags.samples, static_cast<uint64_t>(flags.seed))) {
    fmt::print("name {}\n", name);
  }
  return kDone;
}

void AddFlags(CLI::App& app, Flags* flags) {
  app.add_option("--names", flags->names,
                 "A file of names, one a line, of letters a to z")
      ->required();
  app.add_option("--steps", flags->steps, "The most steps")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--samples", flags->samples, "How many names to draw")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  app.add_option("--seed", flags->seed, "Another seed draws other names")
      ->check(CLI::Range(int64_t{0}, std::numeric_limits<int64_t>::max()))
      ->capture_default_str();
}

}  // namespace
}  // namespace lossd::bigram

int main(int argc, char** argv) {
  lossd::examples::Program program(
      "bigram",
      "A character bigram model of names; every loss and gradient comes from "
      "lossd");
  lossd::bigram::Flags flags;
  lossd::bigram::AddFlags(program.app(), &flags);
  return program.Main(argc, argv, [&](const auto& client) {
    return lossd::bigram::Run(program, flags, client);
  });
}
