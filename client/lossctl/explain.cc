// lossctl explain: the hand derivation for one sample beside the service's
// answer.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "client/lossctl/command.h"
#include "client/lossctl/derivation.h"
#include "client/lossctl/differences.h"

namespace lossd::lossctl {
namespace {

// Derive's own bound.
constexpr double kMaxLogit = 300.0;

// The hand rounds in float64; the differences err by some 1e-10 of the loss.
constexpr double kHandTolerance = 1e-12;
constexpr double kDifferenceTolerance = 1e-7;

struct ExplainFlags {
  std::string logits;
  int64_t label = 0;
};

struct ServiceAnswer {
  double loss = 0.0;
  std::vector<double> gradient;
  std::vector<double> differences;
};

absl::StatusOr<std::vector<double>> ParseLogits(const std::string& text) {
  std::vector<double> logits;
  for (const std::string& piece :
       std::vector<std::string>(absl::StrSplit(text, ','))) {
    double value = 0.0;
    if (!absl::SimpleAtod(piece, &value) || !(std::abs(value) <= kMaxLogit)) {
      return absl::InvalidArgumentError(fmt::format(
          "--logits: element {} is \"{}\", want a number in [-{}, {}]",
          logits.size(), piece, kMaxLogit, kMaxLogit));
    }
    logits.push_back(value);
  }
  return logits;
}

absl::StatusOr<ServiceAnswer> AskService(const Client& client,
                                         const Derivation& hand,
                                         const CallOptions& call) {
  const std::vector<int64_t> labels = {static_cast<int64_t>(hand.y)};
  const Batch<double> batch = {.rows = 1,
                               .classes = static_cast<int64_t>(hand.z.size()),
                               .logits = hand.z,
                               .labels = labels};
  ServiceAnswer answer;
  answer.gradient.resize(hand.z.size());
  const auto summary =
      client.ComputeLoss<double>(batch, {.reduction = Reduction::kSum}, call,
                                 {.gradient = absl::MakeSpan(answer.gradient)});
  if (!summary.ok()) return summary.status();
  answer.loss = summary->loss.value_or(std::nan(""));
  auto differences = CentralDifferences(client, batch, {}, call);
  if (!differences.ok()) return differences.status();
  answer.differences = *std::move(differences);
  return answer;
}

double WorstDifference(const std::vector<double>& a,
                       const std::vector<double>& b) {
  double worst = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(a[i] - b[i]);
    // Negated, so that a NaN is the worst.
    if (!(difference <= worst)) worst = difference;
  }
  return worst;
}

std::string AnswerText(const std::string& target, const Derivation& hand,
                       const ServiceAnswer& answer) {
  std::string text = fmt::format(
      "5. The service's answer, and a check that knows no calculus: central\n"
      "   differences of losses that the service computed,\n\n"
      "    (loss(z_i + h) - loss(z_i - h)) / 2h        h = {:.3g}\n\n"
      "    {:<12}  {:>22}  {:>22}  {:>22}\n"
      "    {:<12}  {:>22.15f}  {:>22.15f}\n",
      DifferenceStep(0.0), "", "by hand", target, "difference", "loss",
      hand.loss, answer.loss);
  for (size_t i = 0; i < hand.z.size(); ++i) {
    text += fmt::format("    {:<12}  {:>22.15f}  {:>22.15f}  {:>22.15f}\n",
                        fmt::format("gradient[{}]", i), hand.gradient[i],
                        answer.gradient[i], answer.differences[i]);
  }
  return text;
}

int RunExplain(const CommonFlags& common, const ExplainFlags& flags) {
  const CallOptions call = CallOptionsFrom(common);
  const auto logits = ParseLogits(flags.logits);
  if (!logits.ok()) return BadUsage(logits.status());
  if (flags.label < 0 || flags.label >= static_cast<int64_t>(logits->size())) {
    return BadUsage(absl::InvalidArgumentError(fmt::format(
        "--label = {}, want [0, {})", flags.label, logits->size())));
  }
  const Derivation hand = Derive(*logits, flags.label);
  const auto client = ConnectClient(common);
  if (!client.ok()) return BadUsage(client.status());
  if (!common.json) fmt::print("{}", DerivationText(hand));
  const auto answer = AskService(*client, hand, call);
  if (!answer.ok()) return Fail(common, answer.status());

  const double to_hand =
      std::max(WorstDifference(hand.gradient, answer->gradient),
               std::abs(hand.loss - answer->loss));
  const double to_differences =
      WorstDifference(answer->differences, answer->gradient);
  const bool agrees =
      to_hand <= kHandTolerance * std::max(1.0, hand.loss) &&
      to_differences <= kDifferenceTolerance * std::max(1.0, hand.loss);
  if (common.json) {
    PrintJson({{"logits", hand.z},
               {"label", hand.y},
               {"probabilities", hand.p},
               {"hand", {{"loss", hand.loss}, {"gradient", hand.gradient}}},
               {"service",
                {{"loss", JsonNumber(answer->loss)},
                 {"gradient", JsonNumbers(answer->gradient)}}},
               {"central_differences", JsonNumbers(answer->differences)},
               {"agrees", agrees}});
  } else {
    fmt::print(
        "{}\n   The service is within {:.1e} of the hand and within {:.1e} "
        "of the differences:\n   {}.\n",
        AnswerText(common.server.target, hand, *answer), to_hand,
        to_differences, agrees ? "they agree" : "they DISAGREE");
  }
  return agrees ? kDone : kFailed;
}

}  // namespace

void AddExplain(CLI::App& app, const CommonFlags& common, Command* chosen) {
  CLI::App* explain = app.add_subcommand(
      "explain",
      "Derive the loss and gradient of one sample by hand, and check");
  const auto flags = std::make_shared<ExplainFlags>();
  explain
      ->add_option("--logits", flags->logits,
                   "The sample's logits, as in 2,1,0.1; each in [-300, 300]")
      ->required();
  explain->add_option("--label", flags->label, "The true class, from 0")
      ->required();
  explain->callback([&common, chosen, flags] {
    *chosen = [&common, flags] { return RunExplain(common, *flags); };
  });
}

}  // namespace lossd::lossctl
