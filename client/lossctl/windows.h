// Calls in windows of time, until their throughput settles.
#ifndef LOSSD_CLIENT_LOSSCTL_WINDOWS_H_
#define LOSSD_CLIENT_LOSSCTL_WINDOWS_H_

#include <cstdint>
#include <deque>
#include <vector>

namespace lossd::lossctl {

// Throughput has settled when this many windows in a row agree within this
// share of the largest.
inline constexpr int kSettledWindows = 3;
inline constexpr double kSettledSpread = 0.05;

// No window has fewer calls: of fewer, one more or less would pass for a
// change.
inline constexpr int64_t kLeastWindowCalls = 20;

// What ended in one stretch of time.
struct Window {
  double seconds = 0.0;
  std::vector<double> latencies_ms;  // of calls that succeeded, unsorted

  double CallsPerSecond() const;
};

// (max - min) / max of the values; 0 where all are 0.
// REQUIRES: `values` is not empty, none is negative.
double SpreadOf(const std::vector<double>& values);

// Sorts calls into windows by when they end. A window closes with a call, so
// that its rate is not off by a fraction of one: the first that ends `length_s`
// or more after the window began, and is its kLeastWindowCalls-th or a later
// one. Failed calls count as calls, and not in the rate. Keeps the last
// kSettledWindows closed windows and the open one, so memory is bounded by what
// ends in them. Not thread-safe.
class Windows {
 public:
  // The first window begins with the first call that ends at `warm_up_s` or
  // later, which belongs to no window. Times count from the run's start.
  // REQUIRES: length_s > 0.
  Windows(double warm_up_s, double length_s);

  // Takes a call that ended at `end_s`; a time before an earlier call's counts
  // as that one's.
  void Add(double end_s, double latency_ms, bool succeeded);

  // Whether the last kSettledWindows agree, and no call came after them.
  bool Settled() const;

  // How far the last closed windows, kSettledWindows at most, are apart; 0 of
  // none.
  double Spread() const;

  // Those of the last kSettledWindows that are closed, as one, with what the
  // open one has.
  Window Latest() const;

  int64_t closed() const { return closed_; }

 private:
  const double warm_up_s_;
  const double length_s_;
  bool begun_ = false;
  double begin_s_ = 0.0;  // of the open window
  double last_s_ = 0.0;
  int64_t calls_ = 0;  // in the open window, failed ones too
  int64_t closed_ = 0;
  std::deque<Window> latest_;
  Window open_;
};

}  // namespace lossd::lossctl

#endif  // LOSSD_CLIENT_LOSSCTL_WINDOWS_H_
