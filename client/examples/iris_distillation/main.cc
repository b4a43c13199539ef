// Knowledge distillation on Fisher's irises: students of a few flowers and two
// features learn from labels, from a better model's logits, or from both. All
// losses and gradients come from a running lossd. README.md beside it says what
// is to be seen.
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <fstream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "client/examples/iris/dataset.h"
#include "client/examples/iris/plot.h"
#include "client/examples/iris_distillation/distillation.h"
#include "client/lossd/client.h"

namespace lossd::iris {
namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kBadUsage = 2;

struct Flags {
  std::string target = "127.0.0.1:50051";
  std::string data = IRIS_DATA;
  std::string plot;
  double seconds_per_call = 10.0;
  std::vector<double> temperatures = {1.0, 2.0, 4.0};
  double hard_share = 0.5;
  int64_t flowers = 15;
  int splits = 100;
};

int Fail(const absl::Status& status, int code) {
  fmt::print(stderr, "iris_distillation: {}\n", std::string(status.message()));
  return code;
}

// Means over the splits; `wins` counts the splits in which the student's log
// loss is below that of the first one, which learns from labels alone.
struct Row {
  Marks mean;
  int wins = 0;
};

void Add(const Marks& marks, int splits, Marks* mean) {
  mean->accuracy += marks.accuracy / splits;
  mean->log_loss += marks.log_loss / splits;
  mean->agreement += marks.agreement / splits;
}

// The teacher first, then a row for each lesson.
absl::StatusOr<std::vector<Row>> Average(const Distillation& distillation,
                                         const Flags& flags, int64_t flowers,
                                         const std::vector<Lesson>& lessons) {
  std::vector<Row> rows(1 + lessons.size());
  for (int split = 0; split < flags.splits; ++split) {
    const auto outcome = distillation.Run(split, flowers, lessons);
    if (!outcome.ok()) return outcome.status();
    Add(outcome->teacher, flags.splits, &rows[0].mean);
    for (size_t i = 0; i < lessons.size(); ++i) {
      const Marks& marks = outcome->students[i];
      Add(marks, flags.splits, &rows[1 + i].mean);
      rows[1 + i].wins += marks.log_loss < outcome->students[0].log_loss;
    }
  }
  return rows;
}

std::string NameOf(const Lesson& lesson) {
  if (lesson.hard_share == 1.0) return "labels alone";
  const std::string name =
      fmt::format("the teacher, T = {}", lesson.temperature);
  return lesson.hard_share == 0.0 ? name : name + ", and labels";
}

void Print(const std::string& name, const Row& row, const std::string& wins) {
  fmt::print("{:<32}  {:6.2f} %  {:8.4f}  {:7.2f} %  {}\n", name,
             100.0 * row.mean.accuracy, row.mean.log_loss,
             100.0 * row.mean.agreement, wins);
}

int PrintTable(const Distillation& distillation, const Flags& flags) {
  std::vector<Lesson> lessons = {{.hard_share = 1.0}};
  for (const double temperature : flags.temperatures) {
    lessons.push_back({.hard_share = 0.0, .temperature = temperature});
  }
  for (const double temperature : flags.temperatures) {
    lessons.push_back(
        {.hard_share = flags.hard_share, .temperature = temperature});
  }
  const auto rows = Average(distillation, flags, flags.flowers, lessons);
  if (!rows.ok()) return Fail(rows.status(), kFailed);
  fmt::print("{:<32}  {:>8}  {:>8}  {:>9}  {}\n", "student of", "accuracy",
             "log loss", "agreement", "lower log loss than by labels");
  for (size_t i = 0; i < lessons.size(); ++i) {
    const Row& row = (*rows)[1 + i];
    Print(NameOf(lessons[i]), row,
          i == 0 ? "" : fmt::format("{} of {}", row.wins, flags.splits));
  }
  Print("(the teacher itself)", rows->front(), "");
  return kDone;
}

int WritePlot(const Distillation& distillation, const Flags& flags) {
  const Lesson taught = {.hard_share = 0.0,
                         .temperature = flags.temperatures.front()};
  std::vector<Curve> curves(3);
  curves[0].name = "the teacher itself";
  curves[1].name = "student of labels alone";
  curves[2].name = "student of " + NameOf(taught);
  for (const int64_t flowers : {10, 15, 20, 30, 50, 75, 100}) {
    if (flowers > distillation.teacher_flowers()) continue;
    const auto rows =
        Average(distillation, flags, flowers, {{.hard_share = 1.0}, taught});
    if (!rows.ok()) return Fail(rows.status(), kFailed);
    for (size_t i = 0; i < curves.size(); ++i) {
      curves[i].x.push_back(static_cast<double>(flowers));
      curves[i].y.push_back((*rows)[i].mean.log_loss);
    }
  }
  std::ofstream stream(flags.plot);
  stream << LogPlotSvg({"What a teacher is worth: students of two features",
                        "flowers that the student is shown",
                        "log loss on unseen flowers (nats, log scale)",
                        curves});
  stream.close();
  if (!stream) {
    return Fail(absl::UnknownError(flags.plot + ": cannot be written"),
                kFailed);
  }
  fmt::print("picture {}\n", flags.plot);
  return kDone;
}

int RunIris(const Flags& flags) {
  auto dataset = ReadDataset(flags.data);
  if (!dataset.ok()) return Fail(dataset.status(), kBadUsage);
  Standardize(&*dataset);
  ClientOptions options;
  options.target = flags.target;
  const auto client = Client::Connect(options);
  if (!client.ok()) return Fail(client.status(), kBadUsage);

  const Distillation distillation(*client, *dataset, flags.seconds_per_call);
  const int64_t most = distillation.teacher_flowers();
  if (dataset->features < 2 || flags.flowers > most) {
    return Fail(absl::InvalidArgumentError(fmt::format(
                    "--flowers = {} of {} features, want at most {} of 2 or "
                    "more",
                    flags.flowers, dataset->features, most)),
                kBadUsage);
  }
  fmt::print(
      "teacher: {} flowers, {} features and their products; students: {} of "
      "these, {} and {}\nmeans over {} splits, on {} unseen flowers; lossd at "
      "{}\n",
      most, dataset->features, flags.flowers, dataset->feature_names[0],
      dataset->feature_names[1], flags.splits, dataset->rows - most,
      flags.target);
  const int code = PrintTable(distillation, flags);
  if (code != kDone || flags.plot.empty()) return code;
  return WritePlot(distillation, flags);
}

int ParseAndRun(int argc, char** argv) {
  Flags flags;
  CLI::App app(
      "Knowledge distillation on Fisher's irises; every loss and gradient "
      "comes from lossd");
  app.add_option("--target", flags.target, "The server: HOST:PORT or unix:PATH")
      ->envname("LOSSD_TARGET")
      ->capture_default_str();
  app.add_option("--data", flags.data, "The flowers, CSV, the species last")
      ->capture_default_str();
  app.add_option("--temperature", flags.temperatures,
                 "The teacher's temperatures, as in 1,2,4; the picture has the "
                 "first")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--hard-share", flags.hard_share,
                 "The labels' share where a student has both")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--flowers", flags.flowers, "How many a student is shown")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--splits", flags.splits, "How often all is repeated")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--plot", flags.plot,
                 "Draw log loss by flowers into this SVG file");
  app.add_option("--timeout", flags.seconds_per_call,
                 "The most time for each call, in seconds")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kBadUsage;
  }
  return RunIris(flags);
}

}  // namespace
}  // namespace lossd::iris

int main(int argc, char** argv) {
  try {
    return lossd::iris::ParseAndRun(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "iris_distillation: %s\n", error.what());
    return 1;
  }
}
