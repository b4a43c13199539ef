// Knowledge distillation on Fisher's irises: students of a few flowers and two
// features learn from labels, from a better model's logits, or from both. All
// losses and gradients come from a running lossd. README.md beside it says what
// is to be seen.
#include <fmt/format.h>

#include <string>
#include <vector>

#include "client/examples/iris/dataset.h"
#include "client/examples/iris/plot.h"
#include "client/examples/iris/program.h"
#include "client/examples/iris_distillation/distillation.h"
#include "client/lossd/client.h"

namespace lossd::iris {
namespace {

struct Flags {
  std::vector<double> temperatures = {1.0, 2.0, 4.0};
  double hard_share = 0.5;
  int64_t flowers = 15;
  int splits = 100;
};

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

absl::Status PrintTable(const Distillation& distillation, const Flags& flags) {
  std::vector<Lesson> lessons = {{.hard_share = 1.0}};
  for (const double temperature : flags.temperatures) {
    lessons.push_back({.hard_share = 0.0, .temperature = temperature});
  }
  for (const double temperature : flags.temperatures) {
    lessons.push_back(
        {.hard_share = flags.hard_share, .temperature = temperature});
  }
  const auto rows = Average(distillation, flags, flags.flowers, lessons);
  if (!rows.ok()) return rows.status();
  fmt::print("{:<32}  {:>8}  {:>8}  {:>9}  {}\n", "student of", "accuracy",
             "log loss", "agreement", "lower log loss than by labels");
  for (size_t i = 0; i < lessons.size(); ++i) {
    const Row& row = (*rows)[1 + i];
    Print(NameOf(lessons[i]), row,
          i == 0 ? "" : fmt::format("{} of {}", row.wins, flags.splits));
  }
  Print("(the teacher itself)", rows->front(), "");
  return absl::OkStatus();
}

// Log loss by the flowers that a student is shown.
absl::StatusOr<Plot> PlotByFlowers(const Distillation& distillation,
                                   const Flags& flags) {
  const Lesson taught = {.hard_share = 0.0,
                         .temperature = flags.temperatures.front()};
  Plot plot = {"What a teacher is worth: students of two features",
               "flowers that the student is shown",
               "log loss on unseen flowers (nats, log scale)",
               {{"the teacher itself", {}, {}},
                {"student of labels alone", {}, {}},
                {"student of " + NameOf(taught), {}, {}}}};
  for (const int64_t flowers : {10, 15, 20, 30, 50, 75, 100}) {
    if (flowers > distillation.teacher_flowers()) continue;
    const auto rows =
        Average(distillation, flags, flowers, {{.hard_share = 1.0}, taught});
    if (!rows.ok()) return rows.status();
    for (size_t i = 0; i < plot.curves.size(); ++i) {
      plot.curves[i].x.push_back(static_cast<double>(flowers));
      plot.curves[i].y.push_back((*rows)[i].mean.log_loss);
    }
  }
  return plot;
}

int Run(const Program& program, const Flags& flags, Dataset dataset,
        const Client& client) {
  Standardize(&dataset);
  const Distillation distillation(client, dataset, program.seconds_per_call());
  const int64_t most = distillation.teacher_flowers();
  if (dataset.features < 2 || flags.flowers > most) {
    return program.Fail(
        absl::InvalidArgumentError(fmt::format(
            "--flowers = {} of {} features, want at most {} of 2 or more",
            flags.flowers, dataset.features, most)),
        kBadUsage);
  }
  fmt::print(
      "teacher: {} flowers, {} features and their products; students: {} of "
      "these, {} and {}\nmeans over {} splits, on {} unseen flowers; lossd at "
      "{}\n",
      most, dataset.features, flags.flowers, dataset.feature_names[0],
      dataset.feature_names[1], flags.splits, dataset.rows - most,
      program.target());
  const absl::Status status = PrintTable(distillation, flags);
  if (!status.ok()) return program.Fail(status, kFailed);
  if (!program.wants_plot()) return kDone;
  const auto plot = PlotByFlowers(distillation, flags);
  if (!plot.ok()) return program.Fail(plot.status(), kFailed);
  return program.WritePlot(*plot, "picture");
}

void AddFlags(CLI::App& app, Flags* flags) {
  app.add_option("--temperature", flags->temperatures,
                 "The teacher's temperatures, as in 1,2,4; the picture has the "
                 "first")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--hard-share", flags->hard_share,
                 "The labels' share where a student has both")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--flowers", flags->flowers, "How many a student is shown")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--splits", flags->splits, "How often all is repeated")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

}  // namespace
}  // namespace lossd::iris

int main(int argc, char** argv) {
  lossd::iris::Program program(
      "iris_distillation",
      "Knowledge distillation on Fisher's irises; every loss and gradient "
      "comes from lossd",
      "log loss by flowers");
  lossd::iris::Flags flags;
  lossd::iris::AddFlags(program.app(), &flags);
  return program.Main(argc, argv, [&](const auto& dataset, const auto& client) {
    return lossd::iris::Run(program, flags, dataset, client);
  });
}
