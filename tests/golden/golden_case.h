// A golden case: one batch with its loss's options, as a file of tests/data
// says it. tests/data/README.md has the meaning of each field.
#ifndef LOSSD_TESTS_GOLDEN_GOLDEN_CASE_H_
#define LOSSD_TESTS_GOLDEN_GOLDEN_CASE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/compute/element_type.h"

namespace lossd::golden {

using compute::ElementType;

enum class Loss {
  kSoftmaxCrossEntropy,
  kSigmoidCrossEntropy,
  kNegativeLogLikelihood,
  kKlDivergence,
  kSoftmaxFocal,
  kSigmoidFocal,
  kMulticlassHinge,
  kSquaredError,
  kHuber,
};

// The contract's options of all losses; each has its own.
struct Options {
  std::optional<double> label_smoothing = std::nullopt;
  std::optional<double> z_loss = std::nullopt;
  std::optional<double> logit_scale = std::nullopt;
  std::optional<double> logit_softcap = std::nullopt;
  std::optional<double> temperature = std::nullopt;
  std::optional<double> gamma = std::nullopt;
  std::optional<double> alpha = std::nullopt;
  std::optional<double> margin = std::nullopt;
  std::optional<double> delta = std::nullopt;
  std::optional<int64_t> power = std::nullopt;
  std::optional<int64_t> ignore_index = std::nullopt;
  bool targets_are_logits = false;
  std::vector<double> class_weights = {};     // [classes]; empty: 1
  std::vector<double> positive_weights = {};  // [classes]; empty: 1
};

enum class Reduction { kMean, kSum, kNone };

struct GoldenCase {
  Loss loss = Loss::kSoftmaxCrossEntropy;
  std::string name = "";
  std::string note = "";  // what is hard about it; empty: nothing is
  ElementType type = ElementType::kFloat32;
  Options options = {};
  Reduction reduction = Reduction::kMean;
  std::optional<double> divisor = std::nullopt;
  int64_t rows = 0;
  int64_t classes = 0;
  std::vector<double> logits = {};       // [rows * classes], numbers of `type`
  std::vector<int64_t> labels = {};      // [rows], or else
  std::vector<double> targets = {};      // [rows * classes], numbers of `type`
  std::vector<double> row_weights = {};  // [rows]; empty: 1
  std::vector<double> upstream_gradient = {};  // [rows] or [1]; empty: 1
  // [rows * classes], numbers of `type`; empty: no product is asked for.
  std::vector<double> vector = {};
};

// As the contract names it: "softmax_cross_entropy".
std::string NameOf(Loss loss);
// As NumPy names it: "float32".
std::string NameOf(ElementType type);

struct GoldenFile {
  Loss loss;
  std::vector<GoldenCase> cases;
};

// Every case there is, one file per loss. The same on every machine: what is
// drawn comes from a generator that the C++ standard defines, by operations
// that IEEE 754 defines.
std::vector<GoldenFile> GoldenFiles();

}  // namespace lossd::golden

#endif  // LOSSD_TESTS_GOLDEN_GOLDEN_CASE_H_
