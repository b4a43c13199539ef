#include "client/lossctl/progress_bar.h"

#include <cstdio>
#include <string>

#include "gtest/gtest.h"

namespace lossd::lossctl {
namespace {

constexpr absl::Time kStart = absl::FromUnixSeconds(1'000'000);

class ProgressBarTest : public ::testing::Test {
 protected:
  ~ProgressBarTest() override { std::fclose(terminal_); }

  // What a bar has shown, in all.
  std::string Shown() {
    std::string text;
    std::fflush(terminal_);
    std::rewind(terminal_);
    for (int c = std::fgetc(terminal_); c != EOF; c = std::fgetc(terminal_)) {
      text.push_back(static_cast<char>(c));
    }
    return text;
  }

  std::FILE* const terminal_ = std::tmpfile();
};

TEST_F(ProgressBarTest, TellsTheShareTheRowsAndTheTimeLeft) {
  EXPECT_EQ(BarText(0, 8, absl::Seconds(2)),
            "[" + std::string(40, ' ') + "]   0%  0 of 8 rows");
  EXPECT_EQ(BarText(2, 8, absl::Seconds(2)),
            "[" + std::string(10, '#') + std::string(30, ' ') +
                "]  25%  2 of 8 rows  6 s left");
  EXPECT_EQ(BarText(8, 8, absl::Seconds(9)),
            "[" + std::string(40, '#') + "] 100%  8 of 8 rows  0 s left");
}

TEST_F(ProgressBarTest, IsForWorkOfOverASecond) {
  {
    ProgressBar bar(terminal_, kStart);
    bar.Update(1, 8, kStart);
    bar.Update(8, 8, kStart + absl::Seconds(1));
  }
  EXPECT_EQ(Shown(), "");
}

TEST_F(ProgressBarTest, IsShownTenTimesASecondAndClearedAtTheEnd) {
  const std::string clear = "\r\x1b[K";
  {
    ProgressBar bar(terminal_, kStart);
    for (int ms = 1001; ms < 1200; ++ms) {
      bar.Update(4, 8, kStart + absl::Milliseconds(ms));
    }
  }
  const std::string line = clear + BarText(4, 8, absl::Seconds(1));
  EXPECT_EQ(Shown(), line + line + clear);
}

TEST_F(ProgressBarTest, IsNothingWithoutATerminalOrRows) {
  {
    ProgressBar none(nullptr, kStart);
    none.Update(1, 8, kStart + absl::Seconds(2));
    ProgressBar bar(terminal_, kStart);
    bar.Update(0, 0, kStart + absl::Seconds(2));
  }
  EXPECT_EQ(Shown(), "");
}

}  // namespace
}  // namespace lossd::lossctl
