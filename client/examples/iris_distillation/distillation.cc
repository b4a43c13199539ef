#include "client/examples/iris_distillation/distillation.h"

#include <utility>

#include "client/examples/iris/linear_model.h"
#include "client/examples/iris_distillation/flowers.h"
#include "client/examples/program/lbfgs.h"

namespace lossd::iris {
namespace {

// The same for all models: without it a student of few flowers is sure of
// itself without end, as its flowers can be told apart.
constexpr double kRidge = 1e-3;

// Adds kRidge / 2 times the squared weights, intercepts left out, to the loss.
double AddRidge(absl::Span<const double> parameters, int64_t features,
                absl::Span<double> gradient) {
  double sum = 0.0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (static_cast<int64_t>(i) % (features + 1) == features) continue;
    sum += 0.5 * kRidge * parameters[i] * parameters[i];
    gradient[i] += kRidge * parameters[i];
  }
  return sum;
}

}  // namespace

Distillation::Distillation(const Client& client, Dataset flowers,
                           double seconds_per_call)
    : client_(client),
      flowers_(std::move(flowers)),
      seconds_per_call_(seconds_per_call) {}

CallOptions Distillation::Call() const {
  return CallOptions(absl::Seconds(seconds_per_call_));
}

// A lesson from two teachers is two calls; their losses and gradients add up.
absl::StatusOr<double> Distillation::AddLoss(
    const Dataset& dataset, absl::Span<const double> teacher,
    const Lesson& lesson, absl::Span<const double> logits,
    absl::Span<double> gradient) const {
  Batch<double> batch = {
      .rows = dataset.rows,
      .classes = static_cast<int64_t>(dataset.class_names.size()),
      .logits = logits};
  std::vector<double> part(logits.size());
  double loss = 0.0;
  const auto add = [&](double share, const LossSpec& spec) -> absl::Status {
    const auto summary = client_.ComputeLoss<double>(
        batch, {.loss = spec}, Call(), {.gradient = absl::MakeSpan(part)});
    if (!summary.ok()) return summary.status();
    loss += share * *summary->loss;
    for (size_t i = 0; i < part.size(); ++i) gradient[i] += share * part[i];
    return absl::OkStatus();
  };
  absl::Status status;
  if (lesson.hard_share > 0.0) {
    batch.labels = dataset.labels;
    status = add(lesson.hard_share, SoftmaxCrossEntropy{});
  }
  if (status.ok() && lesson.hard_share < 1.0) {
    batch.labels = {};
    batch.targets = teacher;
    status = add(1.0 - lesson.hard_share,
                 KlDivergence{.temperature = lesson.temperature,
                              .targets_are_logits = true});
  }
  if (!status.ok()) return status;
  return loss;
}

absl::StatusOr<std::vector<double>> Distillation::Train(
    const Dataset& dataset, absl::Span<const double> teacher,
    const Lesson& lesson) const {
  const LinearModel model(dataset);
  const examples::Objective objective =
      [&](absl::Span<const double> parameters,
          absl::Span<double> gradient) -> absl::StatusOr<double> {
    const std::vector<double> logits = model.Logits(parameters);
    std::vector<double> logit_gradient(logits.size());
    const auto loss = AddLoss(dataset, teacher, lesson, logits,
                              absl::MakeSpan(logit_gradient));
    if (!loss.ok()) return loss.status();
    model.ParameterGradient(logit_gradient, gradient);
    return *loss + AddRidge(parameters, dataset.features, gradient);
  };
  return examples::MinimizeByLbfgs(objective, model.parameters(), 1e-6,
                                   [](const examples::Step&) { return true; });
}

// The teacher comes first: its calls are then what students are held against.
absl::StatusOr<Marks> Distillation::Examine(
    const Dataset& dataset, absl::Span<const double> parameters,
    std::vector<int64_t>* teacher_calls) const {
  const LinearModel model(dataset);
  const std::vector<double> logits = model.Logits(parameters);
  std::vector<int64_t> calls(dataset.rows);
  const auto summary = client_.ComputeLoss<double>(
      {.rows = model.rows(),
       .classes = model.classes(),
       .logits = logits,
       .labels = dataset.labels},
      {}, Call(), {.predictions = absl::MakeSpan(calls)});
  if (!summary.ok()) return summary.status();
  if (teacher_calls->empty()) *teacher_calls = calls;
  int64_t agreed = 0;
  for (int64_t row = 0; row < dataset.rows; ++row) {
    agreed += calls[row] == (*teacher_calls)[row];
  }
  const auto rows = static_cast<double>(dataset.rows);
  return Marks{static_cast<double>(summary->correct_count) / rows,
               *summary->loss, static_cast<double>(agreed) / rows};
}

absl::StatusOr<Outcome> Distillation::Run(
    uint64_t seed, int64_t student_flowers,
    const std::vector<Lesson>& lessons) const {
  const std::vector<int64_t> order = Shuffled(flowers_.rows, seed);
  const auto known = absl::MakeConstSpan(order).first(teacher_flowers());
  const auto unseen = absl::MakeConstSpan(order).subspan(teacher_flowers());
  const auto shown = known.first(student_flowers);
  const Dataset whole = WithProducts(flowers_);
  const Dataset half = FirstFeatures(flowers_, 2);

  const auto teacher = Train(RowsOf(whole, known), {}, {.hard_share = 1.0});
  if (!teacher.ok()) return teacher.status();
  const Dataset whole_shown = RowsOf(whole, shown);
  const std::vector<double> logits = LinearModel(whole_shown).Logits(*teacher);
  std::vector<int64_t> calls;
  const auto marks = Examine(RowsOf(whole, unseen), *teacher, &calls);
  if (!marks.ok()) return marks.status();
  Outcome outcome = {*marks, {}};
  for (const Lesson& lesson : lessons) {
    const auto student = Train(RowsOf(half, shown), logits, lesson);
    if (!student.ok()) return student.status();
    const auto student_marks = Examine(RowsOf(half, unseen), *student, &calls);
    if (!student_marks.ok()) return student_marks.status();
    outcome.students.push_back(*student_marks);
  }
  return outcome;
}

}  // namespace lossd::iris
