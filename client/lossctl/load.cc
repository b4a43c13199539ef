#include "client/lossctl/load.h"

#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "client/lossctl/windows.h"

namespace lossd::lossctl {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr std::chrono::milliseconds kProgressInterval(250);

class LoadRun {
 public:
  LoadRun(const LoadPlan& plan,
          const std::function<absl::Status(int thread)>& call)
      : plan_(plan), call_(call), windows_(plan.warm_up_s, plan.window_s) {}

  LoadReport Run(const std::function<void(const LoadProgress&)>& progress) {
    std::vector<std::thread> threads;
    for (int i = 0; i < plan_.calls_in_flight; ++i) {
      threads.emplace_back([this, i] { MakeCalls(i); });
    }
    std::unique_lock lock(mutex_);
    const Clock::time_point end = At(plan_.max_s);
    while (!stopped_ && Clock::now() < end) {
      stop_.wait_until(lock, std::min(end, Clock::now() + kProgressInterval));
      const LoadProgress so_far = Progress();
      lock.unlock();
      progress(so_far);
      lock.lock();
    }
    Stop();
    LoadReport report = Report();
    lock.unlock();
    for (std::thread& thread : threads) thread.join();
    std::sort(report.latencies_ms.begin(), report.latencies_ms.end());
    return report;
  }

 private:
  Clock::time_point At(double seconds) const {
    return begin_ +
           std::chrono::duration_cast<Clock::duration>(Seconds(seconds));
  }
  double Now() const { return Seconds(Clock::now() - begin_).count(); }

  void MakeCalls(int thread) {
    // By default Linux wakes a sleeper up to 50 us late, which would pass for
    // the server's latency.
    if (plan_.rate) prctl(PR_SET_TIMERSLACK, 1);
    while (const std::optional<double> start_s = WaitForStart()) {
      const absl::Status status = call_(thread);
      const double end_s = Now();
      std::lock_guard lock(mutex_);
      if (!stopped_) Count(end_s, end_s - *start_s, status);
    }
  }

  // Waits for the next intended start and returns it; nothing: the run is over.
  std::optional<double> WaitForStart() {
    std::unique_lock lock(mutex_);
    if (!plan_.rate) {
      if (stopped_) return std::nullopt;
      return Now();
    }
    const double start_s = static_cast<double>(started_++) / *plan_.rate;
    if (start_s >= plan_.max_s) return std::nullopt;
    stop_.wait_until(lock, At(start_s), [this] { return stopped_; });
    if (stopped_) return std::nullopt;
    return start_s;
  }

  void Count(double end_s, double latency_s, const absl::Status& status) {
    if (status.ok()) {
      ++report_.succeeded;
    } else {
      ErrorCount& error = report_.errors[status.code()];
      if (error.calls++ == 0)
        error.first_message = std::string(status.message());
      ++failed_;
    }
    windows_.Add(end_s, latency_s * 1e3, status.ok());
    if (windows_.Settled()) Stop();
  }

  // The first time counts: what ends later does not.
  void Stop() {
    if (stopped_) return;
    stopped_ = true;
    report_.run_s = Now();
    stop_.notify_all();
  }

  LoadProgress Progress() const {
    const double now_s = Now();
    return {.run_s = now_s,
            .warming_up = now_s < plan_.warm_up_s,
            .calls = report_.succeeded + failed_,
            .errors = failed_,
            .windows = windows_.closed(),
            .spread = windows_.Spread()};
  }

  LoadReport Report() {
    Window latest = windows_.Latest();
    report_.settled = windows_.Settled() && !latest.latencies_ms.empty();
    report_.spread = windows_.Spread();
    report_.seconds = latest.seconds;
    report_.calls_per_s = latest.CallsPerSecond();
    report_.latencies_ms = std::move(latest.latencies_ms);
    return std::move(report_);
  }

  const LoadPlan plan_;
  const std::function<absl::Status(int thread)>& call_;
  const Clock::time_point begin_ = Clock::now();
  std::mutex mutex_;
  std::condition_variable stop_;
  // What follows is guarded by mutex_.
  bool stopped_ = false;
  int64_t started_ = 0;
  int64_t failed_ = 0;
  Windows windows_;
  LoadReport report_;
};

}  // namespace

LoadReport RunLoad(const LoadPlan& plan,
                   const std::function<absl::Status(int thread)>& call,
                   const std::function<void(const LoadProgress&)>& progress) {
  return LoadRun(plan, call).Run(progress);
}

}  // namespace lossd::lossctl
