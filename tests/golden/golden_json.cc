#include "tests/golden/golden_json.h"

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/golden/formulas.h"

namespace lossd::golden {
namespace {

using testing::RoundToType;

constexpr size_t kDigits = 40;

// The shortest text that reads back as `value`.
std::string NumberOf(double value) {
  if (std::isinf(value)) return value < 0 ? "\"-inf\"" : "\"inf\"";
  char text[32];
  const auto end = std::to_chars(text, text + sizeof(text), value).ptr;
  return std::string(text, end);
}
std::string NumberOf(int64_t value) { return absl::StrCat(value); }

template <typename T>
std::string ListOf(const std::vector<T>& values) {
  return absl::StrCat("[",
                      absl::StrJoin(values, ", ",
                                    [](std::string* out, const T& value) {
                                      absl::StrAppend(out, NumberOf(value));
                                    }),
                      "]");
}
std::string ListOf(const std::vector<std::string>& decimals) {
  if (decimals.empty()) return "[]";
  return absl::StrCat("[\"", absl::StrJoin(decimals, "\", \""), "\"]");
}

// A list per row, on a line of its own.
template <typename T>
std::string TableOf(const std::vector<T>& values, int64_t classes,
                    const std::string& indent) {
  std::vector<std::string> lines;
  for (auto row = values.begin(); row != values.end(); row += classes) {
    lines.push_back(indent + "  " + ListOf(std::vector<T>(row, row + classes)));
  }
  if (lines.empty()) return "[]";
  return absl::StrCat("[\n", absl::StrJoin(lines, ",\n"), "\n", indent, "]");
}

// The lines "key": value of one object.
class Object {
 public:
  explicit Object(std::string indent) : indent_(std::move(indent)) {}

  void Add(const std::string& key, const std::string& json) {
    lines_.push_back(absl::StrCat(indent_, "  \"", key, "\": ", json));
  }
  void AddText(const std::string& key, const std::string& text) {
    Add(key, absl::StrCat("\"", text, "\""));
  }
  template <typename T>
  void AddGiven(const std::string& key, const std::optional<T>& value) {
    if (value.has_value()) Add(key, NumberOf(*value));
  }
  template <typename T>
  void AddGiven(const std::string& key, const std::vector<T>& values) {
    if (!values.empty()) Add(key, ListOf(values));
  }
  template <typename T>
  void AddTable(const std::string& key, const std::vector<T>& values,
                int64_t classes) {
    if (!values.empty()) Add(key, TableOf(values, classes, indent_ + "  "));
  }

  bool IsEmpty() const { return lines_.empty(); }
  std::string Text() const {
    return absl::StrCat("{\n", absl::StrJoin(lines_, ",\n"), "\n", indent_,
                        "}");
  }

 private:
  const std::string indent_;
  std::vector<std::string> lines_;
};

std::string OptionsText(const Options& options, const std::string& indent) {
  Object object(indent);
  object.AddGiven("label_smoothing", options.label_smoothing);
  object.AddGiven("z_loss", options.z_loss);
  object.AddGiven("logit_scale", options.logit_scale);
  object.AddGiven("logit_softcap", options.logit_softcap);
  object.AddGiven("temperature", options.temperature);
  if (options.targets_are_logits) object.Add("targets_are_logits", "true");
  object.AddGiven("gamma", options.gamma);
  object.AddGiven("alpha", options.alpha);
  object.AddGiven("margin", options.margin);
  object.AddGiven("power", options.power);
  object.AddGiven("delta", options.delta);
  object.AddGiven("ignore_index", options.ignore_index);
  object.AddGiven("class_weights", options.class_weights);
  object.AddGiven("positive_weights", options.positive_weights);
  return object.IsEmpty() ? "{}" : object.Text();
}

// The exact results as decimals.
struct Expected {
  double divisor = 1.0;
  std::vector<std::string> loss = {};  // one, or none without a reduction
  std::vector<std::string> row_losses = {};
  std::vector<std::string> log_sum_exp = {};
  std::vector<std::string> gradient = {};
  std::vector<std::string> product = {};

  friend bool operator==(const Expected&, const Expected&) = default;
};

// Of `text`, a decimal of `exact`.
absl::Status CheckRounding(const ExactReal& exact, const std::string& text,
                           ElementType type) {
  const absl::StatusOr<ExactReal> read = RealOf(text);
  if (!read.ok()) return read.status();
  const ExactReal wide(53, testing::RoundTo<double>(*read));
  const double want = RoundToType(type, exact);
  for (const ExactReal& got : {*read, wide}) {
    const double rounded = RoundToType(type, got);
    if (rounded == want || (std::isnan(rounded) && std::isnan(want))) continue;
    return absl::InternalError(absl::StrCat(
        text, " does not round to ", NameOf(type), " as the exact number"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Expected> ExpectedOf(const GoldenCase& golden,
                                    mpfr_prec_t bits) {
  const BatchResult result = ComputeBatch(golden, bits);
  absl::Status status;
  const auto decimals = [&](const Reals& values) {
    std::vector<std::string> texts;
    for (const ExactReal& value : values) {
      texts.push_back(DecimalOf(value));
      status.Update(CheckRounding(value, texts.back(), golden.type));
    }
    return texts;
  };
  Expected expected = {.divisor = result.divisor,
                       .row_losses = decimals(result.row_losses),
                       .log_sum_exp = decimals(result.log_sum_exp),
                       .gradient = decimals(result.gradient),
                       .product = decimals(result.product)};
  if (result.loss.has_value()) expected.loss = decimals({*result.loss});
  if (!status.ok()) return status;
  return expected;
}

absl::StatusOr<Expected> MadeTwice(const GoldenCase& golden) {
  const mpfr_prec_t bits = BitsFor(golden);
  absl::StatusOr<Expected> once = ExpectedOf(golden, bits);
  absl::StatusOr<Expected> again = ExpectedOf(golden, 2 * bits + 500);
  if (!once.ok()) return once;
  if (again.ok() && *once == *again) return again;
  return absl::InternalError(
      absl::StrCat(bits, " bits and twice as many give different digits"));
}

std::string ReductionName(Reduction reduction) {
  switch (reduction) {
    case Reduction::kMean:
      return "mean";
    case Reduction::kSum:
      return "sum";
    case Reduction::kNone:
      break;
  }
  return "none";
}

absl::StatusOr<std::string> CaseText(const GoldenCase& golden) {
  const absl::StatusOr<Expected> result = MadeTwice(golden);
  if (!result.ok()) {
    return absl::InternalError(
        absl::StrCat(golden.name, ": ", result.status().message()));
  }
  Object expected("      ");
  expected.Add("divisor", NumberOf(result->divisor));
  if (!result->loss.empty()) expected.AddText("loss", result->loss[0]);
  expected.Add("row_losses", ListOf(result->row_losses));
  if (!result->log_sum_exp.empty()) {
    expected.Add("log_sum_exp", ListOf(result->log_sum_exp));
  }
  expected.AddTable("gradient", result->gradient, golden.classes);
  expected.AddTable("product", result->product, golden.classes);

  Object object("    ");
  object.AddText("name", golden.name);
  if (!golden.note.empty()) object.AddText("note", golden.note);
  object.AddText("data_type", NameOf(golden.type));
  object.Add("options", OptionsText(golden.options, "      "));
  object.AddText("reduction", ReductionName(golden.reduction));
  object.AddGiven("divisor", golden.divisor);
  object.AddTable("logits", golden.logits, golden.classes);
  object.AddGiven("labels", golden.labels);
  object.AddTable("targets", golden.targets, golden.classes);
  object.AddGiven("row_weights", golden.row_weights);
  object.AddGiven("upstream_gradient", golden.upstream_gradient);
  object.AddTable("vector", golden.vector, golden.classes);
  object.Add("expected", expected.Text());
  return "    " + object.Text();
}

}  // namespace

std::string DecimalOf(const ExactReal& exact) {
  if (mpfr_nan_p(exact.get())) return "nan";
  if (mpfr_inf_p(exact.get()))
    return mpfr_sgn(exact.get()) < 0 ? "-inf" : "inf";
  if (IsZero(exact)) return "0";
  mpfr_exp_t point = 0;  // 0.DIGITS times 10^point
  const std::unique_ptr<char, decltype(&mpfr_free_str)> text(
      mpfr_get_str(nullptr, &point, 10, kDigits, exact.get(), MPFR_RNDN),
      &mpfr_free_str);
  std::string digits = text.get();
  const std::string sign = digits[0] == '-' ? "-" : "";
  digits.erase(0, sign.size());
  digits.erase(digits.find_last_not_of('0') + 1);
  if (point > -4 && point <= 0) {
    return absl::StrCat(sign, "0.", std::string(-point, '0'), digits);
  }
  if (point > 0 && point <= 20) {
    const auto whole = static_cast<size_t>(point);
    if (digits.size() <= whole) {
      return sign + digits + std::string(whole - digits.size(), '0');
    }
    return sign + digits.insert(whole, ".");
  }
  if (digits.size() > 1) digits.insert(1, ".");
  return absl::StrCat(sign, digits, "e", point - 1);
}

absl::StatusOr<ExactReal> RealOf(const std::string& decimal) {
  ExactReal value(512);
  if (mpfr_set_str(value.get(), decimal.c_str(), 10, MPFR_RNDN) == 0) {
    return value;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", decimal, "\", want a decimal number"));
}

absl::StatusOr<std::string> JsonOf(const GoldenFile& file) {
  std::vector<std::string> cases;
  for (const GoldenCase& golden : file.cases) {
    absl::StatusOr<std::string> text = CaseText(golden);
    if (!text.ok()) return text;
    cases.push_back(*std::move(text));
  }
  return absl::StrCat("{\n  \"format\": \"lossd golden vectors 1\",\n",
                      "  \"loss\": \"", NameOf(file.loss),
                      "\",\n  \"cases\": [\n", absl::StrJoin(cases, ",\n"),
                      "\n  ]\n}\n");
}

}  // namespace lossd::golden
