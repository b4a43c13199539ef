#include <algorithm>
#include <cctype>
#include <cstddef>
#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "tests/house/sources.h"

namespace lossd::house {
namespace {

// LOSSD_SERVER_COMPUTE_LOSS_H_ for server/compute/loss.h.
std::string GuardOf(std::string_view path) {
  std::string guard = "LOSSD_";
  for (const char c : path) {
    const auto u = static_cast<unsigned char>(c);
    guard.push_back(std::isalnum(u) != 0 ? static_cast<char>(std::toupper(u))
                                         : '_');
  }
  return guard + "_";
}

// Twice the length that CONTRIBUTING.md asks for: no room for excuses there.
std::size_t LineLimit(std::string_view path) {
  if (path.starts_with("tests/")) return 800;
  // An -inl.h holds the bodies that Highway compiles once per target.
  const bool declares = path.ends_with(".h") && !path.ends_with("-inl.h");
  return declares ? 240 : 600;
}

TEST(StyleTest, GuardsEveryHeaderByItsPath) {
  EXPECT_EQ(GuardOf("server/compute/loss.h"), "LOSSD_SERVER_COMPUTE_LOSS_H_");
  for (const Source& source : ReadSources()) {
    if (!source.path.ends_with(".h")) continue;
    const std::string guard = GuardOf(source.path);
    // Highway includes an -inl.h once per target: its guard is a toggle.
    if (source.path.ends_with("-inl.h")) {
      EXPECT_NE(source.text.find("#if defined(" + guard + ") == "),
                std::string::npos)
          << source.path << ", want a toggle of " << guard;
      continue;
    }
    EXPECT_NE(
        source.text.find("#ifndef " + guard + "\n#define " + guard + "\n"),
        std::string::npos)
        << source.path << ", want " << guard;
  }
}

TEST(StyleTest, KeepsFilesShort) {
  for (const Source& source : ReadSources()) {
    const auto lines = static_cast<std::size_t>(
        std::count(source.text.begin(), source.text.end(), '\n'));
    EXPECT_LE(lines, LineLimit(source.path)) << source.path;
  }
}

// A note to do something later and a test that never runs both claim more than
// there is.
TEST(StyleTest, LeavesNothingForLater) {
  for (const Source& source : ReadSources()) {
    if (source.path == "tests/house/style_test.cc") continue;
    for (const char* word : {"TODO", "FIXME", "DISABLED_", "GTEST_SKIP"}) {
      EXPECT_EQ(source.text.find(word), std::string::npos)
          << source.path << " has " << word;
    }
  }
}

}  // namespace
}  // namespace lossd::house
