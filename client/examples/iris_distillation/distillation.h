#ifndef LOSSD_CLIENT_EXAMPLES_IRIS_DISTILLATION_DISTILLATION_H_
#define LOSSD_CLIENT_EXAMPLES_IRIS_DISTILLATION_DISTILLATION_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "client/examples/iris/dataset.h"
#include "client/lossd/client.h"

namespace lossd::iris {

// What a student learns from: both losses, each by its share.
//
//   (1 - hard_share) KL(teacher || student) at the temperature
//   + hard_share cross-entropy with the flowers' own labels
struct Lesson {
  double hard_share = 1.0;   // 1: labels alone; 0: the teacher alone
  double temperature = 1.0;  // of the teacher
};

// How a model does on flowers that no model has seen.
struct Marks {
  double accuracy = 0.0;   // share of the flowers
  double log_loss = 0.0;   // mean, nats
  double agreement = 0.0;  // share of the flowers that it calls as the teacher
};

struct Outcome {
  Marks teacher;
  std::vector<Marks> students;  // by lesson
};

// A teacher that knows more flowers and features than its students. All losses
// and gradients, and the marks, come from lossd.
class Distillation {
 public:
  // REQUIRES: `client` outlives this.
  Distillation(const Client& client, Dataset flowers, double seconds_per_call);

  // Trains the teacher on two thirds of the flowers in the order of `seed`, and
  // for each lesson a student of the first two features on the first
  // `student_flowers` of them; the last third gives the marks.
  // Errors: the service's own, or the optimizer's.
  absl::StatusOr<Outcome> Run(uint64_t seed, int64_t student_flowers,
                              const std::vector<Lesson>& lessons) const;

  int64_t teacher_flowers() const { return flowers_.rows * 2 / 3; }

 private:
  CallOptions Call() const;
  absl::StatusOr<double> AddLoss(const Dataset& dataset,
                                 absl::Span<const double> teacher,
                                 const Lesson& lesson,
                                 absl::Span<const double> logits,
                                 absl::Span<double> gradient) const;
  absl::StatusOr<std::vector<double>> Train(const Dataset& dataset,
                                            absl::Span<const double> teacher,
                                            const Lesson& lesson) const;
  absl::StatusOr<Marks> Examine(const Dataset& dataset,
                                absl::Span<const double> parameters,
                                std::vector<int64_t>* teacher_calls) const;

  const Client& client_;
  const Dataset flowers_;
  const double seconds_per_call_;
};

}  // namespace lossd::iris

#endif  // LOSSD_CLIENT_EXAMPLES_IRIS_DISTILLATION_DISTILLATION_H_
