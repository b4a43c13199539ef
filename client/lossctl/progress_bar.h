#ifndef LOSSD_CLIENT_LOSSCTL_PROGRESS_BAR_H_
#define LOSSD_CLIENT_LOSSCTL_PROGRESS_BAR_H_

#include <cstdint>
#include <cstdio>
#include <string>

#include "absl/time/time.h"

namespace lossd::lossctl {

// A line, without its end: a bar, rows, and the time left if the rest goes as
// fast as what is done. REQUIRES: 0 <= rows_done <= rows, 0 < rows.
std::string BarText(int64_t rows_done, int64_t rows, absl::Duration elapsed);

// A bar on a terminal, for work of over a second; gone when the work is done.
class ProgressBar {
 public:
  // For work that starts at `start`. `terminal` stays open; null: shows
  // nothing.
  ProgressBar(std::FILE* terminal, absl::Time start)
      : terminal_(terminal), start_(start), shown_(start) {}
  // Clears the line if anything was shown.
  ~ProgressBar();

  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // Shows how far the work is at `now`, ten times a second at most.
  void Update(int64_t rows_done, int64_t rows, absl::Time now);

 private:
  std::FILE* const terminal_;
  const absl::Time start_;
  absl::Time shown_;  // when last; start_: never
};

}  // namespace lossd::lossctl

#endif  // LOSSD_CLIENT_LOSSCTL_PROGRESS_BAR_H_
