#include "tests/bench/support/channel_setting.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace lossd::bench {

std::optional<ChannelSetting> ReadChannelSetting(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == 0 || equals == std::string_view::npos) return std::nullopt;
  ChannelSetting setting = {std::string(text.substr(0, equals)),
                            std::string(text.substr(equals + 1))};
  int number = 0;
  if (absl::SimpleAtoi(std::get<std::string>(setting.value), &number)) {
    setting.value = number;
  }
  return setting;
}

std::string ToString(const ChannelSetting& setting) {
  return std::visit(
      [&](const auto& value) { return absl::StrCat(setting.name, "=", value); },
      setting.value);
}

}  // namespace lossd::bench
