// docs/operations.md says what can be set, as lossd itself does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "tests/e2e/lossd_process.h"

namespace lossd {
namespace {

using ::testing::HasSubstr;

std::string Operations() {
  std::ifstream file(LOSSD_SOURCE_DIR "/docs/operations.md");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(OperationsDocTest, HasEverySettingWithItsDefault) {
  const std::string doc = Operations();
  const Outcome config = RunToEnd({"--print-config"});
  ASSERT_EQ(config.exit_code, 0) << config.err;
  std::istringstream lines(config.out);
  int settings = 0;
  for (std::string line; std::getline(lines, line); ++settings) {
    const size_t equals = line.find('=');
    ASSERT_NE(equals, std::string::npos) << line;
    EXPECT_THAT(doc, HasSubstr("| `--" + line.substr(0, equals) + "` | `" +
                               line.substr(equals + 1) + "` |"));
  }
  EXPECT_GT(settings, 5);
}

}  // namespace
}  // namespace lossd
