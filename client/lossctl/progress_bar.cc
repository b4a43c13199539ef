#include "client/lossctl/progress_bar.h"

#include <fmt/core.h>

namespace lossd::lossctl {
namespace {

constexpr int kWidth = 40;
// Back to the line's start, and clears it.
constexpr char kClearLine[] = "\r\x1b[K";

}  // namespace

std::string BarText(int64_t rows_done, int64_t rows, absl::Duration elapsed) {
  const double share =
      static_cast<double>(rows_done) / static_cast<double>(rows);
  const auto filled = static_cast<int>(share * kWidth);
  std::string text =
      fmt::format("[{:<{}}] {:3.0f}%  {} of {} rows", std::string(filled, '#'),
                  kWidth, share * 100, rows_done, rows);
  if (rows_done > 0) {
    text += fmt::format("  {:.0f} s left",
                        absl::ToDoubleSeconds(elapsed) * (1 / share - 1));
  }
  return text;
}

ProgressBar::~ProgressBar() {
  if (shown_ != start_) fmt::print(terminal_, "{}", kClearLine);
}

void ProgressBar::Update(int64_t rows_done, int64_t rows, absl::Time now) {
  if (terminal_ == nullptr || rows == 0 || now - start_ <= absl::Seconds(1) ||
      now - shown_ < absl::Milliseconds(100)) {
    return;
  }
  shown_ = now;
  fmt::print(terminal_, "{}{}", kClearLine,
             BarText(rows_done, rows, now - start_));
  std::fflush(terminal_);
}

}  // namespace lossd::lossctl
