// Digests of the core's results over a fixed, wide set of batches: two machines
// or kernels that print the same lines computed the same bits.
//
//   core_digest [--kernel NAME] [TYPE...]    for logits of float16, bfloat16,
//                                            float32, float64; default: all
//   core_digest --list-kernels
//
// Prints two lines per group of batches, `inputs GROUP DIGEST` and `results
// GROUP DIGEST`, and the kernel's name and the number of batches to stderr.
//
// The inputs have digests of their own: they are drawn with the C library's
// logarithm, exponential and power, which promise no bits. Where the inputs
// differ, the results say nothing. A NaN counts by its bits, since the core
// promises the canonical one.
#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "server/compute/kernel.h"
#include "tests/support/distributions.h"
#include "tests/support/draw_options.h"
#include "tests/support/elements.h"
#include "tests/support/hessian_runner.h"
#include "tests/support/loss_runner.h"
#include "tests/support/spec_runner.h"

namespace lossd::testing {
namespace {

using compute::ElementType;

// FNV-1a, 64 bits, over the bytes of all that is added.
class Digest {
 public:
  uint64_t value() const { return value_; }

  void Add(std::string_view bytes) {
    for (const char c : bytes) {
      value_ = (value_ ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    }
  }
  template <typename T>
  requires std::is_scalar_v<T>
  void Add(T value) { Add({reinterpret_cast<const char*>(&value), sizeof(T)}); }
  template <typename T>
  void Add(const std::vector<T>& values) {
    Add(values.size());
    Add({reinterpret_cast<const char*>(values.data()),
         values.size() * sizeof(T)});
  }

 private:
  uint64_t value_ = 0xcbf29ce484222325;
};

template <typename T>
void AddInputs(const TestBatch<T>& batch, const RunSettings& settings,
               Digest& digest) {
  digest.Add(batch.rows);
  digest.Add(batch.classes);
  digest.Add(batch.logits);
  digest.Add(batch.labels);
  digest.Add(settings.loss.ignore_index.value_or(-1));
  digest.Add(settings.loss.label_smoothing);
  digest.Add(settings.loss.z_loss);
  digest.Add(settings.loss.logit_scale);
  if (settings.loss.logit_softcap) digest.Add(*settings.loss.logit_softcap);
  digest.Add(settings.class_weights);
  digest.Add(settings.row_weights);
  digest.Add(settings.upstream);
  digest.Add(settings.target_probabilities);
  digest.Add(settings.target_type);
  digest.Add(settings.options.reduction);
  digest.Add(settings.options.divisor.value_or(0));
  digest.Add(settings.options.non_finite_policy);
  digest.Add(settings.outputs);
  digest.Add(settings.gradient_type.value_or(ElementType::kFloat64));
  digest.Add(settings.threads);
}

template <typename T>
void AddResults(const LossRun<T>& run, Digest& digest) {
  digest.Add(run.summary.loss.has_value());
  digest.Add(run.summary.loss.value_or(0));
  digest.Add(run.summary.divisor);
  digest.Add(run.summary.row_count);
  digest.Add(run.summary.correct_count);
  digest.Add(run.gradient);
  digest.Add(run.gradient_wide);
  digest.Add(run.probabilities);
  digest.Add(run.log_probabilities);
  digest.Add(run.row_losses);
  digest.Add(run.log_sum_exp);
  digest.Add(run.predictions);
}

int batches = 0;  // run so far

// Batches of one kind, whose digests are printed together when it ends.
class Group {
 public:
  explicit Group(std::string name) : name_(std::move(name)) {}
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  ~Group() {
    std::printf("inputs %s %016" PRIx64 "\n", name_.c_str(), inputs_.value());
    std::printf("results %s %016" PRIx64 "\n", name_.c_str(), results_.value());
  }

  template <typename T>
  void Run(const compute::LossSpec& spec, const SpecBatch<T>& batch) {
    ++batches;
    inputs_.Add(batch.logits);
    inputs_.Add(batch.targets);
    inputs_.Add(batch.labels);
    const absl::StatusOr<SpecRun<T>> run = RunSpec(spec, batch);
    if (run.ok()) {
      results_.Add(run->summary.loss.value_or(0));
      results_.Add(run->summary.correct_count);
      results_.Add(run->gradient);
      results_.Add(run->row_losses);
      results_.Add(run->predictions);
    } else {
      results_.Add(std::string(run.status().message()));
    }
    if (!compute::HasHessian(spec)) return;
    // The logits backwards, where they are finite.
    std::vector<T> vector(batch.logits.rbegin(), batch.logits.rend());
    for (T& v : vector) {
      if (!std::isfinite(Wide(v))) v = compute::FromDouble<T>(1);
    }
    const absl::StatusOr<std::vector<T>> product =
        RunHessian(spec, batch, vector);
    if (product.ok()) {
      results_.Add(*product);
    } else {
      results_.Add(std::string(product.status().message()));
    }
  }
  template <typename T>
  void Run(const TestBatch<T>& batch, const RunSettings& settings) {
    ++batches;
    AddInputs(batch, settings, inputs_);
    const absl::StatusOr<LossRun<T>> run = RunLoss(batch, settings);
    if (run.ok()) {
      AddResults(*run, results_);
    } else {
      results_.Add(std::string(run.status().message()));
    }
  }

 private:
  const std::string name_;
  Digest inputs_;
  Digest results_;
};

template <typename T>
std::string TypeName() {
  constexpr const char* kNames[] = {"float16", "bfloat16", "float32",
                                    "float64"};
  return kNames[static_cast<int>(ElementTypeOf<T>())];
}

std::vector<int64_t> ShortLengths() {
  std::vector<int64_t> lengths;
  for (int64_t classes = 1; classes <= 70; ++classes) {
    lengths.push_back(classes);
  }
  lengths.insert(lengths.end(), {127, 128, 129});
  return lengths;
}

constexpr int64_t kLongLengths[] = {1000, 4097};

// Every one of the settings below comes with 1 and with 3 threads, and the
// latter twice: more rows than threads, and a row that they share.
int ThreadsOf(int64_t seed) { return seed % 8 == 0 ? 3 : 1; }

// The defaults.
template <typename T>
void DigestPlain(Distribution distribution) {
  Group group(TypeName<T>() + "/" + std::string(Name(distribution)) + "/plain");
  int64_t seed = 0;
  const auto run = [&](int64_t rows, int64_t classes) {
    RunSettings settings;
    settings.threads = ThreadsOf(++seed);
    group.Run(DrawBatch<T>(distribution, rows, classes, seed), settings);
  };
  for (int64_t classes : ShortLengths()) run(4, classes);
  for (int64_t classes : kLongLengths) run(2, classes);
}

// Random options.
template <typename T>
void DigestOptions(Distribution distribution) {
  Group group(TypeName<T>() + "/" + std::string(Name(distribution)) +
              "/options");
  int64_t seed = 1000;
  const auto run = [&](int64_t rows, int64_t classes) {
    RunSettings settings = DrawOptions(++seed, rows, classes);
    settings.threads = ThreadsOf(seed);
    group.Run(DrawBatch<T>(distribution, rows, classes, seed), settings);
  };
  for (int64_t classes : ShortLengths()) {
    for (int i = 0; i < 2; ++i) run(2, classes);
  }
  for (int64_t classes : kLongLengths) run(2, classes);
}

// Random options with a cap.
template <typename T>
void DigestCapped(Distribution distribution) {
  Group group(TypeName<T>() + "/" + std::string(Name(distribution)) +
              "/capped");
  int64_t seed = 7000;
  for (int64_t classes : {1, 2, 3, 7, 15, 16, 17, 33, 70, 129, 1000}) {
    for (int i = 0; i < 2; ++i) {
      RunSettings settings = DrawCappedOptions(++seed, 2, classes);
      settings.threads = ThreadsOf(seed);
      group.Run(DrawBatch<T>(distribution, 2, classes, seed), settings);
    }
  }
}

// Rows of a language model's length, longer than a span, shared by threads.
template <typename T>
void DigestHuge() {
  Group group(TypeName<T>() + "/huge");
  int64_t seed = 2000;
  for (Distribution distribution :
       {Distribution::kNormal5, Distribution::kOffset,
        Distribution::kTinyProbabilities}) {
    RunSettings settings;
    settings.threads = ThreadsOf(++seed);
    group.Run(DrawBatch<T>(distribution, 1, 50257, seed), settings);
    settings = DrawOptions(seed, 2, 50257);
    settings.threads = ThreadsOf(seed);
    group.Run(DrawBatch<T>(distribution, 2, 50257, seed), settings);
    settings = RunSettings();
    settings.loss.logit_softcap = 30;
    settings.threads = ThreadsOf(seed);
    group.Run(DrawBatch<T>(distribution, 1, 50257, seed), settings);
  }
}

// Each set of outputs alone, none included.
template <typename T>
void DigestOutputs() {
  Group group(TypeName<T>() + "/outputs");
  int64_t seed = 3000;
  for (int64_t classes : {1, 10, 17, 64, 1000, 4097}) {
    for (unsigned outputs : {0u, kGradient, kRowLosses, kLogSumExp,
                             kPredictions, kProbabilities, kLogProbabilities}) {
      for (bool plain : {true, false}) {
        ++seed;
        RunSettings settings =
            plain ? RunSettings() : DrawOptions(seed, 3, classes);
        settings.outputs = outputs;
        settings.threads = ThreadsOf(seed / 2);
        group.Run(DrawBatch<T>(Distribution::kNormal10, 3, classes, seed),
                  settings);
      }
    }
  }
}

template <typename T>
void DigestGradientTypes() {
  Group group(TypeName<T>() + "/gradient_types");
  int64_t seed = 4000;
  for (ElementType type : {ElementType::kFloat16, ElementType::kBFloat16,
                           ElementType::kFloat32, ElementType::kFloat64}) {
    for (Distribution distribution : AllDistributions()) {
      for (int64_t classes : {1, 2, 15, 16, 33, 70, 1000}) {
        RunSettings settings;
        settings.outputs = kGradient;
        settings.gradient_type = type;
        settings.threads = ThreadsOf(++seed);
        group.Run(DrawBatch<T>(distribution, 2, classes, seed), settings);
      }
    }
  }
}

// NaN and infinities, refused and propagated; no rows; all rows ignored.
template <typename T>
void DigestEdges() {
  Group group(TypeName<T>() + "/edges");
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  int64_t seed = 5000;
  RunSettings settings;
  for (compute::NonFinitePolicy policy :
       {compute::NonFinitePolicy::kReject,
        compute::NonFinitePolicy::kPropagate}) {
    settings.options.non_finite_policy = policy;
    for (int64_t classes : ShortLengths()) {
      for (double odd :
           {std::numeric_limits<double>::quiet_NaN(), kInfinity, -kInfinity}) {
        settings.threads = ThreadsOf(++seed);
        auto batch = DrawBatch<T>(Distribution::kNormal1, 3, classes, seed);
        batch.logits[classes + classes / 2] = compute::FromDouble<T>(odd);
        batch.labels[1] = classes / 2;
        group.Run(batch, settings);
      }
    }
  }
  settings.loss.ignore_index = 0;
  group.Run(TestBatch<T>{0, 5, {}, {}}, settings);
  group.Run(TestBatch<T>{2, 2, std::vector<T>(4), {0, 0}}, settings);
}

// Every loss, with targets that are no matter of rounding; their Hessians, too.
template <typename T>
void DigestOtherLosses() {
  Group group(TypeName<T>() + "/other_losses");
  const std::vector<compute::LossSpec> specs = {
      compute::SoftmaxCrossEntropy(),
      compute::SoftmaxCrossEntropy{
          .label_smoothing = 0.1, .z_loss = 0.2, .logit_scale = 1.5},
      compute::SoftmaxCrossEntropy{.logit_softcap = 20},
      compute::SigmoidCrossEntropy{.label_smoothing = 0.1},
      compute::SquaredError(),
      compute::Huber{.delta = 0.5},
      compute::KlDivergence{},
      compute::KlDivergence{.temperature = 3, .targets_are_logits = true},
      compute::NegativeLogLikelihood(),
      compute::SoftmaxFocal(),
      compute::SoftmaxFocal{.gamma = 0.5},
      compute::MulticlassHinge(),
      compute::MulticlassHinge{.margin = 0.3, .power = 2},
      compute::SigmoidFocal(),
      compute::SigmoidFocal{.gamma = 1, .alpha = 0.25},
      compute::SigmoidFocal{.gamma = 0.5},
      compute::SigmoidFocal{.gamma = 20, .alpha = 0.75}};
  int64_t seed = 6000;
  for (const compute::LossSpec& spec : specs) {
    const size_t index = spec.index();
    const bool has_targets =
        index == compute::LossSpec(compute::SigmoidCrossEntropy()).index() ||
        index == compute::LossSpec(compute::SigmoidFocal()).index() ||
        index == compute::LossSpec(compute::SquaredError()).index() ||
        index == compute::LossSpec(compute::KlDivergence()).index() ||
        index == compute::LossSpec(compute::Huber()).index();
    for (Distribution distribution : AllDistributions()) {
      for (int64_t classes : {1, 2, 7, 15, 16, 17, 33, 70, 1000}) {
        const auto drawn = DrawBatch<T>(distribution, 3, classes, ++seed);
        SpecBatch<T> batch{3, classes, drawn.logits};
        batch.threads = ThreadsOf(seed);
        if (seed % 2 == 0) batch.row_weights = {0.3, 1.7, 0};
        if (has_targets) {
          for (int64_t i = 0; i < 3 * classes; ++i) {
            batch.targets.push_back(static_cast<double>(i * seed % 98) / 97);
          }
        } else {
          batch.labels = drawn.labels;
        }
        group.Run(spec, batch);
      }
    }
  }
}

template <typename T>
void DigestType(const std::vector<std::string>& types) {
  if (!types.empty() &&
      std::find(types.begin(), types.end(), TypeName<T>()) == types.end()) {
    return;
  }
  for (Distribution distribution : AllDistributions()) {
    DigestPlain<T>(distribution);
    DigestOptions<T>(distribution);
    DigestCapped<T>(distribution);
  }
  DigestHuge<T>();
  DigestOutputs<T>();
  DigestGradientTypes<T>();
  DigestEdges<T>();
  DigestOtherLosses<T>();
}

int Main(std::vector<std::string> args) {
  const std::vector<std::string> kernels = compute::AvailableKernels();
  if (args == std::vector<std::string>{"--list-kernels"}) {
    for (const std::string& kernel : kernels) std::puts(kernel.c_str());
    return 0;
  }
  if (args.size() >= 2 && args[0] == "--kernel") {
    if (std::find(kernels.begin(), kernels.end(), args[1]) == kernels.end()) {
      std::fprintf(stderr, "core_digest: no kernel '%s' here\n",
                   args[1].c_str());
      return 2;
    }
    compute::SelectKernel(args[1]);
    args.erase(args.begin(), args.begin() + 2);
  }
  DigestType<float>(args);
  DigestType<double>(args);
  DigestType<compute::Float16>(args);
  DigestType<compute::BFloat16>(args);
  std::fprintf(stderr, "kernel %s, batches %d\n",
               std::string(compute::ActiveKernel()).c_str(), batches);
  if (batches == 0) {
    std::fputs(
        "usage: core_digest [--list-kernels | [--kernel NAME] [TYPE...]]\n",
        stderr);
    return 2;
  }
  // So RunLoss reports a byte written beside an output.
  return ::testing::UnitTest::GetInstance()->Failed() ? 1 : 0;
}

}  // namespace
}  // namespace lossd::testing

int main(int argc, char** argv) {
  return lossd::testing::Main({argv + 1, argv + argc});
}
