#include "client/lossctl/windows.h"

#include <algorithm>
#include <utility>

namespace lossd::lossctl {

double Window::CallsPerSecond() const {
  if (seconds <= 0.0) return 0.0;
  return static_cast<double>(latencies_ms.size()) / seconds;
}

double SpreadOf(const std::vector<double>& values) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return *most > 0.0 ? (*most - *least) / *most : 0.0;
}

Windows::Windows(double warm_up_s, double length_s)
    : warm_up_s_(warm_up_s), length_s_(length_s) {}

void Windows::Add(double end_s, double latency_ms, bool succeeded) {
  last_s_ = std::max(last_s_, end_s);
  if (!begun_) {
    begun_ = last_s_ >= warm_up_s_;
    begin_s_ = last_s_;
    return;
  }
  ++calls_;
  if (succeeded) open_.latencies_ms.push_back(latency_ms);
  open_.seconds = last_s_ - begin_s_;
  if (open_.seconds < length_s_ || calls_ < kLeastWindowCalls) return;
  latest_.push_back(std::exchange(open_, Window()));
  if (latest_.size() > kSettledWindows) latest_.pop_front();
  begin_s_ = last_s_;
  calls_ = 0;
  ++closed_;
}

bool Windows::Settled() const {
  return closed_ >= kSettledWindows && calls_ == 0 &&
         Spread() <= kSettledSpread;
}

double Windows::Spread() const {
  if (latest_.empty()) return 0.0;
  std::vector<double> rates;
  for (const Window& window : latest_) rates.push_back(window.CallsPerSecond());
  return SpreadOf(rates);
}

Window Windows::Latest() const {
  Window all = open_;
  for (const Window& window : latest_) {
    all.seconds += window.seconds;
    all.latencies_ms.insert(all.latencies_ms.end(), window.latencies_ms.begin(),
                            window.latencies_ms.end());
  }
  return all;
}

}  // namespace lossd::lossctl
