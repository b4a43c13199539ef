#include "client/lossd/losses.h"

#include <cstddef>
#include <utility>

namespace lossd {
namespace {

using AllLosses = std::make_index_sequence<std::variant_size_v<LossSpec>>;

// Every loss with its defaults.
template <size_t... kIndices>
std::vector<LossSpec> Defaults(std::index_sequence<kIndices...>) {
  return {LossSpec(std::in_place_index<kIndices>)...};
}

}  // namespace

std::vector<std::string> LossNames() {
  std::vector<std::string> names;
  for (const LossSpec& loss : Defaults(AllLosses())) {
    names.emplace_back(LossName(loss));
  }
  return names;
}

std::string_view LossName(const LossSpec& loss) {
  return std::visit([](const auto& kind) { return kind.kName; }, loss);
}

std::optional<LossSpec> LossNamed(std::string_view name) {
  for (const LossSpec& loss : Defaults(AllLosses())) {
    if (LossName(loss) == name) return loss;
  }
  return std::nullopt;
}

LabelKind LabelKindOf(const LossSpec& loss) {
  return std::visit([](const auto& kind) { return kind.kLabels; }, loss);
}

}  // namespace lossd
