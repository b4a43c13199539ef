// KL divergence's golden cases.
#include <cstddef>
#include <utility>

#include "tests/golden/draw.h"

namespace lossd::golden {
namespace {

constexpr Loss kLoss = Loss::kKlDivergence;
constexpr ElementType kFloat32 = ElementType::kFloat32;
constexpr ElementType kFloat64 = ElementType::kFloat64;

using Cases = std::vector<GoldenCase>;

GoldenCase Soft(const std::string& name, ElementType type) {
  return Drawn(kLoss, name, type, Labels::kProbabilities, 3, 4);
}

GoldenCase Teacher(const std::string& name, ElementType type) {
  GoldenCase golden = Drawn(kLoss, name, type, Labels::kRealTargets, 3, 4);
  golden.options.targets_are_logits = true;
  return golden;
}

void AddTemperatures(Cases& cases) {
  for (const ElementType type : {kFloat32, kFloat64}) {
    for (const double temperature : {0.5, 4.0}) {
      const std::string name = (temperature < 1 ? "cold_" : "hot_");
      GoldenCase golden = Soft(name + NameOf(type), type);
      golden.options.temperature = temperature;
      cases.push_back(golden);
      golden = Teacher(name + "teacher_" + NameOf(type), type);
      golden.options.temperature = temperature;
      cases.push_back(golden);
    }
    GoldenCase golden =
        WithFactors(Teacher("everything_teacher_" + NameOf(type), type));
    golden.options.temperature = 2.5;
    if (type == kFloat32) golden.reduction = Reduction::kNone;
    cases.push_back(golden);
  }
  GoldenCase golden = Teacher("very_hot_float64", kFloat64);
  golden.note =
      "at a temperature of 1e4 both are nearly uniform, and the loss "
      "cancels to their variance";
  golden.options.temperature = 1e4;
  cases.push_back(golden);
}

// The teacher next to the student: p - q and the loss cancel.
void AddConverged(Cases& cases) {
  for (const ElementType type : {kFloat32, kFloat64}) {
    GoldenCase golden = Soft("next_to_softmax_" + NameOf(type), type);
    golden.note = "each target is the student's probability, correctly rounded";
    golden.logits = Draw(golden).Full(12, -3, 3);
    golden.targets = RoundedSoftmax(golden);
    golden.reduction = Reduction::kNone;
    cases.push_back(golden);
    golden = Teacher("next_to_student_" + NameOf(type), type);
    golden.note = "the teacher's logits are a few last bits from the student's";
    golden.options.temperature = 2;
    golden.logits = Draw(golden).Full(12, -3, 3);
    golden.targets = golden.logits;
    const double step = type == kFloat32 ? 0x1p-22 : 0x1p-51;
    for (size_t i = 0; i < golden.targets.size(); i += 2) {
      golden.targets[i] =
          RoundedTo(type, golden.targets[i] * (1 + step * (i % 3 + 1.0)));
    }
    cases.push_back(golden);
    golden = Teacher("student_itself_" + NameOf(type), type);
    golden.note = "a common offset is all that differs: 0, exactly";
    golden.targets = golden.logits;
    for (double& z : golden.targets) z += 2;
    cases.push_back(golden);
  }
}

void AddEdges(Cases& cases) {
  GoldenCase golden =
      Written(kLoss, "one_hot_float32", kFloat32, 3, {1, 2, 0.5, -1, 0, 3},
              "q ln q is 0 at q = 0: cross-entropy");
  golden.targets = {0, 1, 0, 0, 0, 1};
  cases.push_back(golden);
  golden = Written(kLoss, "unnormalized_float64", kFloat64, 3,
                   {1, 2, 0.5, -1, 0, 3}, "targets need not add up to 1");
  golden.targets = {0.5, 1, 2, 0.125, 0.25, 0.125};
  cases.push_back(golden);
  golden = Written(kLoss, "masked_student_float32", kFloat32, 3,
                   {-kInfinity, 1, 2, 0, 1, -kInfinity},
                   "p = 0: nothing where q is 0, else infinite");
  golden.targets = {0, 0.25, 0.75, 0.5, 0.25, 0.25};
  golden.reduction = Reduction::kNone;
  cases.push_back(golden);
  golden = Written(kLoss, "masked_teacher_float64", kFloat64, 3,
                   {0.5, 1, 2, 0, -kInfinity, 1}, "q = 0 there");
  golden.options.targets_are_logits = true;
  golden.targets = {-kInfinity, 1, 0, 2, -kInfinity, 1.5};
  cases.push_back(golden);
  golden = Written(kLoss, "offset_float32", kFloat32, 3,
                   {1000002, 999999, 1000000, -3, 2, 1},
                   "student and teacher under offsets of 1e6");
  golden.options.targets_are_logits = true;
  golden.targets = {-1000002, -999999, -1000001, 1000001, 1000003, 1000002};
  cases.push_back(golden);
  golden = Written(kLoss, "margins_float64", kFloat64, 2,
                   {40, 0, 0, 40, 700, 0, 745, 0, 100, 0},
                   "one class dominates student, teacher or both");
  golden.options.targets_are_logits = true;
  golden.targets = {38, 0, 1, 0, 0, 700, 744, 0, 300, 0};
  golden.reduction = Reduction::kNone;
  cases.push_back(golden);
  golden = Written(kLoss, "one_class_float32", kFloat32, 1, {3, -2},
                   "a teacher's logit alone: 0");
  golden.options.targets_are_logits = true;
  golden.targets = {-1, 5};
  cases.push_back(golden);
  golden = Written(kLoss, "denormal_targets_float32", kFloat32, 3,
                   {0, 1, -1, -80, 0, 2}, "targets below the normal numbers");
  golden.targets = {1e-40, 1, 3e-42, 1e-38, 0.5, 0.5};
  for (double& t : golden.targets) t = RoundedTo(kFloat32, t);
  cases.push_back(golden);
  golden = Drawn(kLoss, "fifty_classes_float32", kFloat32, Labels::kRealTargets,
                 1, 50);
  golden.options.targets_are_logits = true;
  golden.logits = Draw(golden).Full(50, -6, 6);
  cases.push_back(golden);
}

void AddProducts(Cases& cases) {
  for (const ElementType type : {kFloat32, kFloat64}) {
    cases.push_back(WithVector(Soft("hessian_" + NameOf(type), type)));
    GoldenCase golden = WithFactors(
        WithVector(Teacher("hessian_teacher_" + NameOf(type), type)));
    golden.options.temperature = 3;
    cases.push_back(golden);
  }
}

}  // namespace

std::vector<GoldenCase> KlDivergenceCases() {
  Cases cases;
  AddEverywhere("", Soft, cases);
  AddFew("teacher_", Teacher, cases);
  AddTemperatures(cases);
  AddConverged(cases);
  AddEdges(cases);
  AddProducts(cases);
  return cases;
}

}  // namespace lossd::golden
