// Inputs of golden cases: drawn from the case's name, so that a new case
// changes no other, or written down.
#ifndef LOSSD_TESTS_GOLDEN_DRAW_H_
#define LOSSD_TESTS_GOLDEN_DRAW_H_

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tests/golden/golden_case.h"

namespace lossd::golden {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Draws numbers for one case. No function of the C library has a part in it.
class Draw {
 public:
  explicit Draw(const GoldenCase& golden);

  // Multiples of 1/64 in [-range, range): few digits to read.
  std::vector<double> Short(int64_t count, double range);
  // Any number in [low, high).
  std::vector<double> Full(int64_t count, double low, double high);
  // Class indices.
  std::vector<int64_t> Labels();
  // Rows of multiples of 1/16 that add up to 1.
  std::vector<double> Probabilities();

 private:
  // Rounded to the case's type.
  double Rounded(double value) const;

  const ElementType type_;
  const int64_t rows_;
  const int64_t classes_;
  std::mt19937_64 random_;
};

// `value`, rounded once to `type`.
double RoundedTo(ElementType type, double value);

// Each row's softmax, correctly rounded to the case's type; of its logits over
// `temperature`.
std::vector<double> RoundedSoftmax(const GoldenCase& golden,
                                   double temperature = 1.0);
// Each logit's sigmoid, correctly rounded to the case's type.
std::vector<double> RoundedSigmoid(const GoldenCase& golden);

// What the labels of a case are.
enum class Labels {
  kIndices,
  kProbabilities,
  kUnitTargets,  // anything in [0, 1], 0 and 1 among them
  kRealTargets,  // the logits' size
};

// A case of drawn logits and labels.
GoldenCase Drawn(Loss loss, const std::string& name, ElementType type,
                 Labels labels, int64_t rows, int64_t classes);

// A case of these logits, `classes` in a row; labels or targets are to follow.
GoldenCase Written(Loss loss, const std::string& name, ElementType type,
                   int64_t classes, const std::vector<double>& logits,
                   const std::string& note);

// Adds weights and an upstream gradient for each row.
GoldenCase WithFactors(GoldenCase golden);
// Adds a vector for the Hessian.
GoldenCase WithVector(GoldenCase golden);
GoldenCase WithReduction(Reduction reduction, GoldenCase golden);

// Makes the case of this name and type that others start from.
using MakeCase = std::function<GoldenCase(const std::string&, ElementType)>;

// Adds to `cases` what every loss has: each type, reduction and factor, alone
// and together; their names start with `prefix`.
void AddEverywhere(const std::string& prefix, const MakeCase& make,
                   std::vector<GoldenCase>& cases);
// The short form of it, for a second kind of labels.
void AddFew(const std::string& prefix, const MakeCase& make,
            std::vector<GoldenCase>& cases);

// One for each loss.
std::vector<GoldenCase> SoftmaxCrossEntropyCases();
std::vector<GoldenCase> SigmoidCrossEntropyCases();
std::vector<GoldenCase> NegativeLogLikelihoodCases();
std::vector<GoldenCase> KlDivergenceCases();
std::vector<GoldenCase> SoftmaxFocalCases();
std::vector<GoldenCase> SigmoidFocalCases();
std::vector<GoldenCase> MulticlassHingeCases();
std::vector<GoldenCase> SquaredErrorCases();
std::vector<GoldenCase> HuberCases();

}  // namespace lossd::golden

#endif  // LOSSD_TESTS_GOLDEN_DRAW_H_
