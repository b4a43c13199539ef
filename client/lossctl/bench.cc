// lossctl bench: what a server does under load.
#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/lossctl/bench_report.h"
#include "client/lossctl/command.h"
#include "client/lossctl/load.h"
#include "client/lossctl/loss_flags.h"
#include "client/lossctl/random_batch.h"

namespace lossd::lossctl {
namespace {

constexpr int kMaxInFlight = 1000;
// Each takes some 20 to 40 bytes here, in the message and in the results.
constexpr int64_t kMaxLogitsInFlight = 200'000'000;

// CLI::Range lets NaN through.
CLI::Validator NumberIn(double least, double most) {
  const std::string range = fmt::format("NUMBER in [{}, {}]", least, most);
  return CLI::Validator(
      [least, most, range](const std::string& text) {
        double value = 0.0;
        const bool fits = CLI::detail::lexical_cast(text, value) &&
                          value >= least && value <= most;
        return fits ? std::string() : absl::StrCat(text, ", want a ", range);
      },
      range);
}

struct BenchFlags {
  int64_t rows = 128;
  int64_t classes = 1000;
  std::string data_type = "float32";
  int concurrency = 1;
  int max_in_flight = 64;
  LossFlags loss;
  LoadPlan plan;
};

// The most bytes of tensors that one call of `batch` moves, both ways.
template <typename T>
int64_t BytesPerCall(const Batch<T>& batch) {
  return static_cast<int64_t>((2 * batch.logits.size() + batch.targets.size()) *
                                  sizeof(T) +
                              batch.labels.size() * sizeof(int64_t));
}

// The exit code; with a line of its own when nothing succeeded.
int Conclude(const LoadPlan& plan, const LoadReport& report) {
  if (report.succeeded > 0) return kDone;
  if (report.errors.empty()) {
    fmt::print(stderr, "lossctl: no call ended in {:.3g} s\n", plan.max_s);
  }
  for (const auto& [code, error] : report.errors) {
    fmt::print(stderr, "lossctl: every call failed: {}: {}\n",
               absl::StatusCodeToString(code), error.first_message);
  }
  return kFailed;
}

template <typename T>
int Bench(const CommonFlags& common, BenchFlags& flags) {
  // A call is one attempt: what the server refuses is to be seen.
  ClientOptions client_options = ClientOptionsFrom(common.server);
  client_options.retry.max_attempts = 1;
  const auto client = Client::Connect(client_options);
  if (!client.ok()) return BadUsage(client.status());
  const LossOptions& options = flags.loss.options();
  RandomBatch drawn = DrawBatch(options.loss, /*float_targets=*/false,
                                flags.rows, flags.classes, /*seed=*/1);
  const std::vector<T> logits(drawn.logits.begin(), drawn.logits.end());
  const std::vector<T> targets(drawn.targets.begin(), drawn.targets.end());
  drawn.logits = {};
  drawn.targets = {};
  const Batch<T> batch = {.rows = flags.rows,
                          .classes = flags.classes,
                          .logits = logits,
                          .labels = drawn.labels,
                          .targets = targets,
                          .row_weights = flags.loss.row_weights(),
                          .upstream_gradient = flags.loss.upstream_gradient()};
  std::vector<std::vector<T>> gradients(flags.plan.calls_in_flight,
                                        std::vector<T>(logits.size()));
  const auto call = [&](int thread) {
    return client
        ->template ComputeLoss<T>(
            batch, options, CallOptionsFrom(common),
            {.gradient = absl::MakeSpan(gradients[thread])})
        .status();
  };
  const bool on_terminal = isatty(STDERR_FILENO) == 1;
  const LoadReport report =
      RunLoad(flags.plan, call, [on_terminal](const LoadProgress& progress) {
        if (!on_terminal) return;
        fmt::print(stderr, "\r\x1b[K{}", ProgressLine(progress));
      });
  if (on_terminal) fmt::print(stderr, "\r\x1b[K");
  const BenchSubject subject = {.target = common.server.target,
                                .rows = flags.rows,
                                .classes = flags.classes,
                                .data_type = flags.data_type,
                                .loss = std::string(LossName(options.loss)),
                                .plan = flags.plan,
                                .bytes_per_call = BytesPerCall(batch)};
  if (common.json) {
    PrintJson(BenchJson(subject, report));
  } else {
    fmt::print("{}", BenchText(subject, report));
  }
  return Conclude(flags.plan, report);
}

absl::Status CheckBench(const BenchFlags& flags) {
  const LoadPlan& plan = flags.plan;
  if (flags.rows * flags.classes > kMaxLogitsInFlight / plan.calls_in_flight) {
    return absl::InvalidArgumentError(fmt::format(
        "--rows {} x --classes {} x {} calls in flight, want at most {} logits",
        flags.rows, flags.classes, plan.calls_in_flight, kMaxLogitsInFlight));
  }
  if (plan.warm_up_s >= plan.max_s) {
    return absl::InvalidArgumentError(
        fmt::format("--warm-up-seconds = {}, want less than --max-seconds, {}",
                    plan.warm_up_s, plan.max_s));
  }
  return absl::OkStatus();
}

int RunBench(const CommonFlags& common, BenchFlags& flags) {
  flags.plan.calls_in_flight =
      flags.plan.rate ? flags.max_in_flight : flags.concurrency;
  absl::Status status = CheckBench(flags);
  if (status.ok()) status = flags.loss.Read(flags.rows, flags.classes);
  if (!status.ok()) return BadUsage(status);
  return flags.data_type == "float32" ? Bench<float>(common, flags)
                                      : Bench<double>(common, flags);
}

void AddLoadFlags(CLI::App* bench, BenchFlags* flags) {
  auto* concurrency = bench
                          ->add_option("--concurrency", flags->concurrency,
                                       "Calls always in flight (a closed loop)")
                          ->check(CLI::Range(1, kMaxInFlight))
                          ->capture_default_str();
  auto* rate =
      bench
          ->add_option("--rate", flags->plan.rate,
                       "Calls that start per second, whatever the server does "
                       "(an open loop): latency counts from a call's intended "
                       "start; default: none, a closed loop")
          ->check(NumberIn(0.001, 1e6))
          ->excludes(concurrency);
  bench
      ->add_option("--max-in-flight", flags->max_in_flight,
                   "With --rate, the most calls in flight; more wait")
      ->check(CLI::Range(1, kMaxInFlight))
      ->needs(rate)
      ->capture_default_str();
  bench
      ->add_option("--warm-up-seconds", flags->plan.warm_up_s,
                   "How long calls are not measured at first, in seconds; less "
                   "than --max-seconds")
      ->check(NumberIn(0, 3600))
      ->capture_default_str();
  bench
      ->add_option("--window-seconds", flags->plan.window_s,
                   "Length of a window, in seconds; of 20 calls at least")
      ->check(NumberIn(0.01, 600))
      ->capture_default_str();
  bench
      ->add_option("--max-seconds", flags->plan.max_s,
                   "When to end if throughput has not settled, in seconds")
      ->check(NumberIn(0.01, 86400))
      ->capture_default_str();
}

}  // namespace

void AddBench(CLI::App& app, const CommonFlags& common, Command* chosen) {
  CLI::App* bench = app.add_subcommand(
      "bench",
      "Measure latency and throughput under load, until the last 3 windows' "
      "throughput agrees within 5%; --timeout is each call's");
  const auto flags = std::make_shared<BenchFlags>();
  bench->add_option("--rows", flags->rows, "Rows of the random batch")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  bench->add_option("--classes", flags->classes, "Classes of the random batch")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  bench->add_option("--data-type", flags->data_type, "The logits' type")
      ->transform(CLI::IsMember({"float32", "float64"}, CLI::ignore_case))
      ->capture_default_str();
  AddLoadFlags(bench, flags.get());
  flags->loss.AddTo(bench);
  bench->callback([&common, chosen, flags] {
    *chosen = [&common, flags] { return RunBench(common, *flags); };
  });
}

}  // namespace lossd::lossctl
