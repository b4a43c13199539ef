#include "client/lossctl/loss_flags.h"

#include <algorithm>
#include <optional>
#include <type_traits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/lossctl/numbers.h"

namespace lossd::lossctl {
namespace {

// Every option of every loss, once; several losses may have it.
struct OptionText {
  const char* flag;
  const char* type;   // empty: the flag takes no value
  const char* unset;  // the default, where the field itself does not hold it
  const char* help;
};

constexpr OptionText kOptionTexts[] = {
    {"--label-smoothing", "NUMBER", "",
     "The share of each target spread over all classes; in [0, 1]"},
    {"--class-weights", "LIST", "all 1",
     "A factor for each class's term: .npy, or as in 1,2,0.5"},
    {"--ignore-index", "INTEGER", "none", "Rows with this label do not count"},
    {"--z-loss", "NUMBER", "", "Adds this times the squared log-sum-exp; >= 0"},
    {"--logit-scale", "NUMBER", "1", "Multiplies the logits first"},
    {"--logit-softcap", "NUMBER", "none",
     "Caps the logits, before the scale: cap * tanh(z / cap); in [1e-6, 1e6]"},
    {"--positive-weights", "LIST", "all 1",
     "A factor for each class's positive targets: .npy, or as in 1,2,0.5"},
    {"--temperature", "NUMBER", "", "Divides both sides' logits; > 0"},
    {"--targets-are-logits", "", "no",
     "The labels are the teacher's logits, not its probabilities"},
    {"--gamma", "NUMBER", "", "The focusing exponent; >= 0"},
    {"--alpha", "NUMBER", "none",
     "Weighs positive targets, 1 - alpha negative ones; in [0, 1]"},
    {"--margin", "NUMBER", "", "The margin; finite"},
    {"--power", "INTEGER", "", "The exponent; 1 or 2"},
    {"--delta", "NUMBER", "", "Where the quadratic ends; > 0"},
};

// Calls visit(flag, field) for each option of a loss.
template <typename Visitor>
void VisitOptions(SoftmaxCrossEntropy& loss, Visitor visit) {
  visit("--label-smoothing", loss.label_smoothing);
  visit("--class-weights", loss.class_weights);
  visit("--ignore-index", loss.ignore_index);
  visit("--z-loss", loss.z_loss);
  visit("--logit-scale", loss.logit_scale);
  visit("--logit-softcap", loss.logit_softcap);
}
template <typename Visitor>
void VisitOptions(SigmoidCrossEntropy& loss, Visitor visit) {
  visit("--positive-weights", loss.positive_weights);
  visit("--label-smoothing", loss.label_smoothing);
}
template <typename Visitor>
void VisitOptions(NegativeLogLikelihood& loss, Visitor visit) {
  visit("--class-weights", loss.class_weights);
  visit("--ignore-index", loss.ignore_index);
}
template <typename Visitor>
void VisitOptions(KlDivergence& loss, Visitor visit) {
  visit("--temperature", loss.temperature);
  visit("--targets-are-logits", loss.targets_are_logits);
}
template <typename Visitor>
void VisitOptions(SoftmaxFocal& loss, Visitor visit) {
  visit("--gamma", loss.gamma);
  visit("--class-weights", loss.class_weights);
  visit("--ignore-index", loss.ignore_index);
}
template <typename Visitor>
void VisitOptions(SigmoidFocal& loss, Visitor visit) {
  visit("--gamma", loss.gamma);
  visit("--alpha", loss.alpha);
}
template <typename Visitor>
void VisitOptions(MulticlassHinge& loss, Visitor visit) {
  visit("--margin", loss.margin);
  visit("--power", loss.power);
}
template <typename Visitor>
void VisitOptions(SquaredError&, Visitor) {}
template <typename Visitor>
void VisitOptions(Huber& loss, Visitor visit) {
  visit("--delta", loss.delta);
}

std::vector<std::string> FlagsOf(LossSpec loss) {
  std::vector<std::string> flags;
  std::visit(
      [&](auto& kind) {
        VisitOptions(kind, [&](const char* flag, const auto&) {
          flags.emplace_back(flag);
        });
      },
      loss);
  return flags;
}

std::string LossesWith(const std::string& flag) {
  std::vector<std::string> losses;
  for (const std::string& name : LossNames()) {
    const auto flags = FlagsOf(*LossNamed(name));
    if (std::find(flags.begin(), flags.end(), flag) != flags.end()) {
      losses.push_back(name);
    }
  }
  return absl::StrJoin(losses, " and ");
}

// Reads a flag's text as what its field holds; weights go to `*class_factors`.
class OptionReader {
 public:
  OptionReader(int64_t classes, std::vector<double>* class_factors)
      : classes_(classes), class_factors_(class_factors) {}

  absl::Status Read(const std::string& flag, const std::string& text,
                    double* field) {
    if (absl::SimpleAtod(text, field)) return absl::OkStatus();
    return Unreadable(flag, text, "a number");
  }
  template <typename Integer>
  std::enable_if_t<std::is_integral_v<Integer>, absl::Status> Read(
      const std::string& flag, const std::string& text, Integer* field) {
    if (absl::SimpleAtoi(text, field)) return absl::OkStatus();
    return Unreadable(flag, text,
                      absl::StrCat("a ", 8 * sizeof(Integer), "-bit integer"));
  }
  absl::Status Read(const std::string&, const std::string&, bool* field) {
    *field = true;
    return absl::OkStatus();
  }
  template <typename T>
  absl::Status Read(const std::string& flag, const std::string& text,
                    std::optional<T>* field) {
    return Read(flag, text, &field->emplace());
  }
  absl::Status Read(const std::string& flag, const std::string& text,
                    absl::Span<const double>* field) {
    auto numbers = ReadNumbers(flag, text);
    if (!numbers.ok()) return numbers.status();
    *class_factors_ = *std::move(numbers);
    *field = *class_factors_;
    return CheckCount(flag, field->size(), classes_, "class");
  }

 private:
  static absl::Status Unreadable(const std::string& flag,
                                 const std::string& text,
                                 const std::string& want) {
    return absl::InvalidArgumentError(
        absl::StrCat(flag, " = ", text, ", want ", want));
  }

  const int64_t classes_;
  std::vector<double>* const class_factors_;
};

std::string UnsetText(const std::string& flag) {
  for (const OptionText& option : kOptionTexts) {
    if (flag == option.flag) return option.unset;
  }
  return "";
}

const char* LabelText(LabelKind kind) {
  switch (kind) {
    case LabelKind::kIndices:
      return "class indices";
    case LabelKind::kTargets:
      return "targets";
    case LabelKind::kEither:
      return "class indices or targets";
  }
  return "";
}

}  // namespace

void LossFlags::AddTo(CLI::App* command) {
  command->add_option("--loss", loss_name_, "The loss's name")
      ->check(CLI::IsMember(LossNames()))
      ->capture_default_str();
  for (const OptionText& option : kOptionTexts) {
    const std::string flag = option.flag;
    const auto keep = [this, flag](const std::string& text) {
      loss_options_[flag] = text;
    };
    CLI::Option* added =
        *option.type == '\0'
            ? command->add_flag_callback(flag, [keep] { keep(""); })
            : command->add_option_function<std::string>(flag, keep)
                  ->type_name(option.type);
    added->description(option.help)->group("Options of one loss or another");
  }
  command
      ->add_option("--reduction", options_.reduction,
                   "How the row losses become one number; default mean")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, Reduction>{{"mean", Reduction::kMean},
                                           {"sum", Reduction::kSum},
                                           {"none", Reduction::kNone}}));
  command->add_option("--divisor", options_.divisor,
                      "Replaces the mean's denominator; > 0");
  command
      ->add_option("--row-weights", row_weights_text_,
                   "A factor for each row's loss: .npy, or as in 1,0,2")
      ->type_name("LIST");
  command
      ->add_option("--upstream-gradient", upstream_gradient_text_,
                   "A factor for each row's gradient, or one for all: .npy, or "
                   "as in 1,0,2")
      ->type_name("LIST");
  command->footer(LossHelp());
}

absl::Status LossFlags::Read(int64_t rows, int64_t classes) {
  absl::Status status = ReadLoss(classes);
  if (status.ok()) status = ReadRowFactors(rows);
  return status;
}

absl::Status LossFlags::ReadLoss(int64_t classes) {
  options_.loss = *LossNamed(loss_name_);
  const auto flags = FlagsOf(options_.loss);
  for (const auto& [flag, text] : loss_options_) {
    if (std::find(flags.begin(), flags.end(), flag) == flags.end()) {
      return absl::InvalidArgumentError(absl::StrCat(flag, " is an option of ",
                                                     LossesWith(flag),
                                                     ", not of ", loss_name_));
    }
  }
  absl::Status status;
  OptionReader reader(classes, &class_factors_);
  std::visit(
      [&](auto& loss) {
        VisitOptions(loss, [&](const char* flag, auto& field) {
          const auto given = loss_options_.find(flag);
          if (given == loss_options_.end()) return;
          status.Update(reader.Read(flag, given->second, &field));
        });
      },
      options_.loss);
  return status;
}

absl::Status LossFlags::ReadRowFactors(int64_t rows) {
  const auto read = [rows](const std::string& flag,
                           const std::optional<std::string>& text,
                           bool one_will_do, std::vector<double>* factors) {
    if (!text.has_value()) return absl::OkStatus();
    auto numbers = ReadNumbers(flag, *text);
    if (!numbers.ok()) return numbers.status();
    *factors = *std::move(numbers);
    if (one_will_do && factors->size() == 1) return absl::OkStatus();
    return CheckCount(flag, factors->size(), rows, "row");
  };
  absl::Status status =
      read("--row-weights", row_weights_text_, false, &row_weights_);
  status.Update(read("--upstream-gradient", upstream_gradient_text_,
                     options_.reduction != Reduction::kNone,
                     &upstream_gradient_));
  return status;
}

std::string LossHelp() {
  std::string help =
      "Losses, what labels they take, and their options with the defaults:\n";
  for (const std::string& name : LossNames()) {
    LossSpec loss = *LossNamed(name);
    std::vector<std::string> options;
    std::visit(
        [&](auto& kind) {
          VisitOptions(kind, [&](const char* flag, const auto& field) {
            std::string text = UnsetText(flag);
            if constexpr (std::is_arithmetic_v<std::decay_t<decltype(field)>>) {
              if (text.empty()) text = absl::StrCat(field);
            }
            options.push_back(absl::StrCat(flag, " (", text, ")"));
          });
        },
        loss);
    absl::StrAppend(&help, "  ", name, ": ", LabelText(LabelKindOf(loss)),
                    "\n");
    for (const std::string& option : options) {
      absl::StrAppend(&help, "      ", option, "\n");
    }
  }
  return help;
}

}  // namespace lossd::lossctl
